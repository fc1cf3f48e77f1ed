import { siteWallClock } from '../parts/wall-clock';

/** What is usual for each urgency; the doctor may change it. */
export function wantedTimeFor(urgency: 'routine' | 'urgent' | 'stat', now: Date = new Date()): string {
  const clock = siteWallClock(now);
  const time =
    urgency === 'stat' ? clock.add(10, 'minute') :
    urgency === 'urgent' ? clock.add(2, 'hour').minute(0) :
    clock.add(1, 'day').hour(9).minute(0);
  return `${time.format('YYYY-MM-DDTHH:mm')}:00+08:00`;
}
