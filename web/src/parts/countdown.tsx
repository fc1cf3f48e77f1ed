// How long there still is, in front of the reader's eyes. The time itself stands in the record; here it only runs.
import { useEffect, useState } from 'react';
import { formatCountdown } from '../format';
import { FieldTimeOutlined } from './icons';

/** The clock of this moment, anew every so many milliseconds while it is needed. */
export function useNow(everyMs: number, running = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!running) return undefined;
    const timer = window.setInterval(() => setNow(Date.now()), everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs, running]);
  return now;
}

/** `text` puts words around the digits. Nothing once the time is over: what is late is said in its own words. */
export function Countdown({ until, text }: { until: string | undefined; text: (left: string) => string }) {
  const now = useNow(1000, until !== undefined);
  const left = Date.parse(until ?? '') - now;
  if (!(left > 0)) return null;
  return <span className="countdown" role="timer" aria-live="off"><FieldTimeOutlined aria-hidden /> {text(formatCountdown(left))}</span>;
}
