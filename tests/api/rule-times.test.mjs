// The times that the rules give are told to the screens, which have none of their own.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld } from './support.mjs';

let w;
before(async () => { w = await startWorld(); });
after(async () => { await w?.stop(); });

test('limits and steps that fall due are told as the files have them', async () => {
  const times = await w.doctor.must('GET', '/workflows/times');
  assert.equal(times.consult.after['offer-next'], 'PT10M');
  assert.equal(times.consult.after['ask-feedback'], 'P7D');
  assert.equal(times.consult.limits.writeUpLimit, '6 hours');
  assert.equal(times['critical-value'].limits.readBackLimit, '15 minutes');
  assert.equal(times.consult.limits.readBackLimit, times['critical-value'].limits.readBackLimit, 'in a consult and outside of one the same');
  assert.equal(times['break-glass'].limits.limit, '60 minutes');
  for (const machine of Object.values(times)) {
    for (const text of Object.values(machine.limits)) assert.match(text, /^\d+ (minute|hour|day)s?$/);
  }
  assert.equal((await fetch(`${w.base}/workflows/times`)).status, 401);
});
