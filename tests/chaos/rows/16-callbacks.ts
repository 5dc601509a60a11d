import { CallbackTrial, CONCURRENCY } from '../harness/callback-trial.ts';
import { type ChaosRow, judge, type Scale } from '../harness/row.ts';

const KILLS: Record<Scale, number> = { short: 3, quick: 10, long: 50 };
const JOBS: Record<Scale, number> = { short: 300, quick: 2_000, long: 10_000 };

export const callbacks: ChaosRow = {
  row: 16,
  title: 'receivers that answer 500, 429, 410, 3xx, hang or close; the dispatcher killed 50 times',
  goal: '0 lost; stable id, fresh timestamp, schedule kept; 410 disables, redelivery works',
  plainBullmq: '–',
  headline: ['jobs', 'kills', 'callbacks_lost', 'duplicates', 'duplicates_allowed'],
  async run({ say }, scale) {
    await using trial = await CallbackTrial.start();
    const { log, receiver } = trial;
    const wave = JOBS[scale] / KILLS[scale];
    let hits = 0;
    for (let kill = 1; kill <= KILLS[scale]; kill++) {
      const arrived = receiver.untilMore(wave / 2);
      const submitted = trial.submit(wave);
      await arrived;
      if (await trial.kill()) hits += 1;
      await submitted;
      if (kill % 10 === 0) say(`${kill} kills, ${log.received} callbacks`);
    }
    const settled = await trial.settle();
    const disabled = await trial.count('disabled');
    const endpoints = await trial.enable();
    log.gone = false;
    const redelivered = await trial.redeliver();
    const settledAgain = await trial.settle();
    const lost = trial.missing().length;
    const delivered = await trial.count('delivered');
    const { duplicates } = log;
    const allowed = KILLS[scale] * CONCURRENCY;
    const ids = new Set([...log.ids.values()].flatMap((of) => [...of]));
    return {
      figures: {
        jobs: trial.jobs,
        dispatchers: 3,
        kills: KILLS[scale],
        callbacks_received: log.received,
        callbacks_lost: lost,
        duplicates,
        duplicates_allowed: allowed,
        ids: ids.size,
        not_verified: log.unsigned,
        with_an_old_timestamp: log.stale,
        before_their_time: log.early,
        sent_to_the_redirect: receiver.at('/elsewhere').length,
        endpoints_disabled: endpoints,
        deliveries_disabled: disabled,
        redelivered,
        deliveries_delivered: delivered,
      },
      ...judge({
        'every callback comes to its end': settled && settledAgain,
        'no callback is lost': lost === 0 && trial.jobs === JOBS[scale],
        'a callback is doubled only where a kill cut it off': duplicates <= allowed,
        'kills hit callbacks on their way': hits === KILLS[scale],
        'each job has one id, in every attempt': ids.size === trial.jobs,
        'each callback is signed': log.unsigned === 0,
        'each timestamp is of its attempt': log.stale === 0,
        'no attempt is made before its time': log.early === 0,
        'no redirect is followed': receiver.at('/elsewhere').length === 0,
        'the endpoint that answers 410 is disabled': endpoints === 1 && disabled > 0,
        'what it missed is sent when it is enabled': redelivered === disabled,
        'the log knows each delivery': delivered === trial.jobs,
      }),
      notes: NOTES,
    };
  },
};

const NOTES = `Three dispatchers, of which the one that has run longest is killed; another takes its place. Of
each 20 jobs one calls back to each kind of receiver that fails its first attempt, and one to the
receiver that answers 410 until it is enabled again. A duplicate is a callback that was answered with
2xx although one before it was: its dispatcher was killed before it had written that down. So each
kill may double as many as one dispatcher has on their way, which is ${CONCURRENCY}.`;
