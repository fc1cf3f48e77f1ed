import { describe, expect, it } from 'vitest';
import { copiesOf, dayOf, daysOf, gapsOf, hoursOf, mondayOf, onDuty, periodOf, type Shift } from '../src/duty/week';

const shift = (date: string, from: string, to: string, posts = ['a']): Shift => ({ id: `${date}${from}`, ...periodOf(date, from, to), posts });

describe('the week of a duty list', () => {
  it('begins on Monday, also for a Sunday', () => {
    expect(mondayOf('2026-11-22')).toBe('2026-11-16');
    expect(mondayOf('2026-11-23')).toBe('2026-11-23');
    expect(daysOf('2026-11-30')).toEqual(['2026-11-30', '2026-12-01', '2026-12-02', '2026-12-03', '2026-12-04', '2026-12-05', '2026-12-06']);
  });

  it('takes an end that is not after the beginning for the next day', () => {
    expect(periodOf('2026-11-30', '18:00', '08:00')).toEqual({ start: '2026-11-30T18:00:00+08:00', end: '2026-12-01T08:00:00+08:00' });
    expect(periodOf('2026-11-30', '08:00', '08:00').end).toBe('2026-12-01T08:00:00+08:00');
    expect(hoursOf(shift('2026-11-30', '18:00', '08:00'), '次日 ')).toBe('18:00–次日 08:00');
    expect(hoursOf(shift('2026-11-30', '08:00', '18:00'), '次日 ')).toBe('08:00–18:00');
    expect(dayOf(shift('2026-11-30', '00:30', '08:00'))).toBe('2026-11-30');
  });

  it('tells the hours that nobody covers, and counts a shift without people as none', () => {
    const shifts = [shift('2026-11-23', '08:00', '18:00'), shift('2026-11-23', '20:00', '08:00'), shift('2026-11-23', '18:00', '20:00', [])];
    expect(gapsOf(shifts, '2026-11-23T00:00:00+08:00', '2026-11-24T08:00:00+08:00')).toEqual([
      { start: '2026-11-22T16:00:00.000Z', end: '2026-11-23T00:00:00.000Z' },
      { start: '2026-11-23T10:00:00.000Z', end: '2026-11-23T12:00:00.000Z' },
    ]);
    expect(gapsOf([], '2026-11-23T00:00:00+08:00', '2026-11-24T00:00:00+08:00')).toHaveLength(1);
    expect(gapsOf([shift('2026-11-22', '08:00', '08:00')], '2026-11-22T12:00:00+08:00', '2026-11-23T00:00:00+08:00')).toEqual([]);
  });

  it('copies the week before, but not over hours that are manned', () => {
    const last = [shift('2026-11-16', '08:00', '18:00', ['a', 'b']), shift('2026-11-17', '08:00', '18:00')];
    const here = [shift('2026-11-24', '12:00', '14:00')];
    expect(copiesOf(last, here)).toEqual([{ start: '2026-11-23T00:00:00.000Z', end: '2026-11-23T10:00:00.000Z', posts: ['a', 'b'] }]);
  });

  it('names who is called now in the order of the list, nobody twice', () => {
    const shifts = [shift('2026-11-22', '08:00', '08:00', ['b', 'c']), shift('2026-11-22', '00:00', '12:00', ['a', 'b'])];
    expect(onDuty(shifts, Date.parse('2026-11-22T09:00:00+08:00'))).toEqual(['a', 'b', 'c']);
    expect(onDuty(shifts, Date.parse('2026-11-22T12:00:00+08:00'))).toEqual(['b', 'c']);
    expect(onDuty(shifts, Date.parse('2026-11-23T08:00:00+08:00'))).toEqual([]);
  });
});
