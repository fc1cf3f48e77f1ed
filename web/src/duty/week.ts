// The week of a duty list: its days, the times that nobody covers, a shift some days later. Clock times are the site's.
import dayjs from 'dayjs';
import { formatClock, siteToday } from '../format';

export const DAYS = 7;

/** One Schedule of the hospital; the posts (references) stand in the order in which they are called. */
export interface Shift { id: string; start: string; end: string; posts: string[] }

export const addDays = (date: string, days: number): string => dayjs(date).add(days, 'day').format('YYYY-MM-DD');

/** The Monday of the week that this day is in. */
export function mondayOf(date: string): string {
  const weekday = (dayjs(date).day() + 6) % 7;
  return addDays(date, -weekday);
}

export const daysOf = (monday: string): string[] => Array.from({ length: DAYS }, (_, index) => addDays(monday, index));

export const midnight = (date: string): string => `${date}T00:00:00+08:00`;

/** From a day and two clock times; an end that is not after the beginning is on the next day. */
export function periodOf(date: string, from: string, to: string): { start: string; end: string } {
  return { start: `${date}T${from}:00+08:00`, end: `${to > from ? date : addDays(date, 1)}T${to}:00+08:00` };
}

/** The day, at the site, on which a shift begins. */
export const dayOf = (shift: Shift): string => siteToday(new Date(shift.start));

/** 08:00–18:00, and in words when it ends on another day. */
export function hoursOf(shift: Shift, nextDay: string): string {
  const last = siteToday(new Date(shift.end));
  return `${formatClock(shift.start)}–${last === dayOf(shift) ? '' : nextDay}${formatClock(shift.end)}`;
}

export interface Gap { start: string; end: string }

/** When nobody is on duty between two instants, in order. */
export function gapsOf(shifts: Shift[], from: string, to: string): Gap[] {
  const end = Date.parse(to);
  const gaps: Gap[] = [];
  let covered = Date.parse(from);
  const manned = shifts.filter((shift) => shift.posts.length > 0).sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
  const note = (until: number) => {
    if (until > covered) gaps.push({ start: new Date(covered).toISOString(), end: new Date(until).toISOString() });
  };
  for (const shift of manned) {
    note(Math.min(Date.parse(shift.start), end));
    covered = Math.max(covered, Date.parse(shift.end));
    if (covered >= end) break;
  }
  note(end);
  return gaps;
}

const later = (instant: string, days: number): string => new Date(Date.parse(instant) + days * 86_400_000).toISOString();

/** Last week's shifts in this week; where the same hours are manned already, nothing is put over them. */
export function copiesOf(last: Shift[], here: Shift[], days = DAYS): { start: string; end: string; posts: string[] }[] {
  return last
    .map((shift) => ({ start: later(shift.start, days), end: later(shift.end, days), posts: shift.posts }))
    .filter((copy) => !here.some((one) => Date.parse(one.start) < Date.parse(copy.end) && Date.parse(one.end) > Date.parse(copy.start)));
}

/** Those who are called now, the first in line first. */
export function onDuty(shifts: Shift[], now: number): string[] {
  const running = shifts.filter((shift) => Date.parse(shift.start) <= now && Date.parse(shift.end) > now)
    .sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
  return [...new Set(running.flatMap((shift) => shift.posts))];
}
