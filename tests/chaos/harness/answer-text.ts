/** The text of an answer; nothing of a stream of events, which may have no end. */
export async function answerText(response: Response): Promise<string> {
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('text/event-stream')) return response.text();
  await response.body?.cancel();
  return '';
}
