import { describe, expect, it } from 'vitest';
import { formatAge, formatBytes, formatDate, formatDuration, formatNumber, formatTime, siteInstant, siteToday } from '../src/format';
import { siteWallClock } from '../src/parts/wall-clock';

const NOW = new Date('2026-11-22T02:00:00Z');

describe('times are those of the site', () => {
  it('writes month, day and clock, and the year only when it is another', () => {
    expect(formatTime('2026-02-16T06:05:00Z', 'zh', NOW)).toBe('2月16日 14:05');
    expect(formatTime('2025-02-16T06:05:00Z', 'zh', NOW)).toBe('2025年2月16日 14:05');
    expect(formatTime('2026-02-16T06:05:00Z', 'en', NOW)).toBe('16 Feb 14:05');
  });

  it('crosses midnight at +08:00', () => {
    expect(formatTime('2026-11-21T16:30:00Z', 'zh', NOW)).toBe('11月22日 00:30');
    expect(siteToday(new Date('2026-11-21T16:00:00Z'))).toBe('2026-11-22');
  });

  it('keeps a partial date partial', () => {
    expect(formatDate('1968', 'zh', NOW)).toBe('1968年');
    expect(formatDate('1968-03', 'en', NOW)).toBe('Mar 1968');
    expect(formatTime('2026-11-22', 'zh', NOW)).toBe('11月22日');
  });

  it('answers nothing for nothing or for nonsense', () => {
    expect(formatTime(undefined, 'zh', NOW)).toBe('');
    expect(formatTime('not a time', 'zh', NOW)).toBe('');
  });

  it('gives back the wall clock that was picked', () => {
    expect(siteInstant(siteWallClock('2026-11-22T06:00:00Z'))).toBe('2026-11-22T14:00:00+08:00');
  });
});

describe('ages', () => {
  it('uses the unit of the ward', () => {
    expect(formatAge('1968-03-05', 'zh', NOW)).toBe('58岁');
    expect(formatAge('1968-11-23', 'zh', NOW)).toBe('57岁');
    expect(formatAge('2024-11-22', 'zh', NOW)).toBe('24个月');
    expect(formatAge('2026-11-10', 'en', NOW)).toBe('12 d');
    expect(formatAge('1968', 'en', NOW)).toBe('58 y');
  });

  it('refuses what is no date of birth', () => {
    expect(formatAge('2030-01-01', 'zh', NOW)).toBe('');
    expect(formatAge('unknown', 'zh', NOW)).toBe('');
  });
});

describe('amounts', () => {
  it('writes how long something took', () => {
    expect(formatDuration(45 * 60_000, 'zh')).toBe('45 分钟');
    expect(formatDuration(200 * 60_000, 'zh')).toBe('3 小时 20 分');
    expect(formatDuration(120 * 60_000, 'en')).toBe('2 h');
    expect(formatDuration(52 * 3_600_000, 'zh')).toBe('2 天 4 小时');
    expect(formatDuration(-5, 'zh')).toBe('0 分钟');
  });

  it('groups thousands and keeps unknown apart from zero', () => {
    expect(formatNumber(12345.678)).toBe('12,345.7');
    expect(formatNumber(0)).toBe('0');
    expect(formatNumber(-1234)).toBe('-1,234');
    expect(formatNumber(null)).toBe('—');
    expect(formatBytes(3 * 1024 * 1024)).toBe('3.0 MB');
  });
});
