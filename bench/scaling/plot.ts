import { encodePng, type Picture } from './png.ts';

export interface Line {
  label: string;
  color: readonly [number, number, number];
  points: readonly { x: number; y: number }[];
}

export interface Panel {
  title: string;
  lines: readonly Line[];
}

const WIDTH = 900;
const PANEL_HEIGHT = 240;
const MARGIN = { left: 80, right: 20, top: 40, bottom: 30 };
const SCALE = 2;
const BLACK = [40, 40, 40] as const;
const GREY = [225, 225, 225] as const;
const TICKS = 4;

/** Panels under one another, each a few lines over the same time in seconds. */
export function plot(panels: readonly Panel[]): Buffer {
  const height = panels.length * PANEL_HEIGHT;
  const picture = { width: WIDTH, height, pixels: new Uint8Array(3 * WIDTH * height).fill(255) };
  const xs = panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(({ x }) => x)));
  const lastX = xs.reduce((most, x) => Math.max(most, x), 1);
  for (const [i, panel] of panels.entries()) drawPanel(picture, panel, { at: i, lastX });
  return encodePng(picture);
}

function drawPanel(
  picture: Picture,
  { title, lines }: Panel,
  { at, lastX }: { at: number; lastX: number },
): void {
  const top = at * PANEL_HEIGHT + MARGIN.top;
  const bottom = (at + 1) * PANEL_HEIGHT - MARGIN.bottom;
  const [left, right] = [MARGIN.left, WIDTH - MARGIN.right];
  const ys = lines.flatMap(({ points }) => points.map(({ y }) => y));
  const lastY = ys.reduce((most, y) => Math.max(most, y), 1);
  const toX = (x: number) => Math.round(left + (x / lastX) * (right - left));
  const toY = (y: number) => Math.round(bottom - (y / lastY) * (bottom - top));
  for (let tick = 0; tick <= TICKS; tick++) {
    const [x, y] = [(lastX * tick) / TICKS, (lastY * tick) / TICKS];
    segment(picture, GREY, [left, toY(y), right, toY(y)]);
    segment(picture, GREY, [toX(x), top, toX(x), bottom]);
    const value = short(y);
    write(picture, value, { x: left - 8 - widthOf(value), y: toY(y) - 5, color: BLACK });
    const time = `${Math.round(x / 60)} MIN`;
    const from = Math.min(toX(x) - widthOf(time) / 2, right - widthOf(time));
    write(picture, time, { x: Math.round(from), y: bottom + 8, color: BLACK });
  }
  let x = left;
  write(picture, title, { x, y: top - 28, color: BLACK });
  x += widthOf(title) + 24;
  for (const { label, color, points } of lines) {
    write(picture, label, { x, y: top - 28, color });
    x += widthOf(label) + 24;
    for (const [i, point] of points.entries()) {
      const before = points[i - 1] ?? point;
      segment(picture, color, [toX(before.x), toY(before.y), toX(point.x), toY(point.y)]);
    }
  }
}

function short(value: number): string {
  if (value >= 10_000) return `${Math.round(value / 1_000)}K`;
  return value >= 10 ? String(Math.round(value)) : String(Math.round(value * 10) / 10);
}

type Color = Line['color'];

/** After Bresenham; two pixels thick. */
function segment(picture: Picture, color: Color, ends: [number, number, number, number]): void {
  const [x0, y0, x1, y1] = ends;
  const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0), 1);
  for (let i = 0; i <= steps; i++) {
    const x = Math.round(x0 + ((x1 - x0) * i) / steps);
    const y = Math.round(y0 + ((y1 - y0) * i) / steps);
    dot(picture, color, [x, y]);
    if (color !== GREY) dot(picture, color, [x, y + 1]);
  }
}

function dot({ width, height, pixels }: Picture, color: Color, [x, y]: [number, number]): void {
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  pixels.set(color, 3 * (y * width + x));
}

/** Three by five dots a character, row by row as bits. */
const GLYPHS: Readonly<Record<string, string>> = {
  ...{ 0: '75557', 1: '26227', 2: '71747', 3: '71717', 4: '55711', 5: '74717', 6: '74757' },
  ...{ 7: '71122', 8: '75757', 9: '75717', A: '25755', B: '65656', C: '34443', D: '65556' },
  ...{ E: '74647', F: '74644', G: '34553', H: '55755', I: '72227', J: '11152', K: '55655' },
  ...{ L: '44447', M: '57755', N: '65555', O: '25552', P: '65644', Q: '25563', R: '65655' },
  ...{ S: '34216', T: '72222', U: '55557', V: '55552', W: '55775', X: '55255', Y: '55222' },
  ...{ Z: '71247', '.': '00002', ',': '00024', '-': '00700', '/': '11244', ' ': '00000' },
  ...{ '(': '12221', ')': '42224', ':': '02020', '%': '51245' },
};

function widthOf(text: string): number {
  return text.length * 4 * SCALE;
}

function write(
  picture: Picture,
  text: string,
  { x, y, color }: { x: number; y: number; color: Color },
): void {
  for (const [i, character] of [...text.toUpperCase()].entries()) {
    for (const [row, bits] of [...(GLYPHS[character] ?? '77777')].entries()) {
      for (let column = 0; column < 3 * SCALE; column++) {
        if (((Number(bits) >> (2 - Math.floor(column / SCALE))) & 1) === 0) continue;
        for (let thick = 0; thick < SCALE; thick++) {
          dot(picture, color, [x + i * 4 * SCALE + column, y + row * SCALE + thick]);
        }
      }
    }
  }
}
