import { describe, expect, it } from 'vitest';
import type { Task } from '../src/fhir-types';
import { csvOf } from '../src/parts/file';
import { readPersonal, withPersonal } from '../src/personal';
import { firstTabOf, primaryActionOf, tabsOf, type ConsultState } from '../src/states';
import { changeText, isWholeDay, valueText, type Indicator } from '../src/today/indicators';
import { nearestSlice } from '../src/viewer/stack';
import { priorsOf } from '../src/viewer/viewer-pair';
import { inOrder, tabSearches, type ConsultRow } from '../src/worklist/list';

const NOW = Date.parse('2026-11-22T12:00:00+08:00');
const row = (id: string, priority: Task['priority'], state: ConsultState, minutes: number): ConsultRow => ({
  task: { resourceType: 'Task', id, status: 'requested', intent: 'order', priority, authoredOn: new Date(NOW - minutes * 60_000).toISOString() } as Task,
  state, request: undefined, patient: undefined,
});

describe('the worklist', () => {
  it('stands with 特急 that waits on top, then what is overdue, then by urgency', () => {
    const rows = [row('routine', 'routine', 'submitted', 10), row('late', 'routine', 'submitted', 400), row('urgent', 'urgent', 'submitted', 5),
      row('late-urgent', 'urgent', 'allocated', 45), row('done-stat', 'stat', 'delivered', 500), row('stat', 'stat', 'submitted', 1)];
    expect(inOrder(rows, NOW).map((one) => one.task.id)).toEqual(['stat', 'late-urgent', 'late', 'done-stat', 'urgent', 'routine']);
  });

  it('has for each role the tabs in the order of a case', () => {
    expect(tabsOf('county-doctor').map((tab) => tab.key)).toEqual(['drafts', 'returned', 'waiting', 'to-decide', 'to-feed-back', 'archived']);
    expect(tabsOf('expert').map((tab) => tab.key)).toEqual(['to-accept', 'to-read', 'to-sign', 'answered']);
    expect(tabsOf('consult-coordinator').map((tab) => tab.key)).toEqual(['to-review', 'to-allocate', 'overdue', 'today', 'archived']);
  });

  it('begins where something waits for the person', () => {
    const tabs = tabsOf('county-doctor');
    expect(firstTabOf(tabs, { waiting: 3, 'to-feed-back': 1 })?.key).toBe('waiting');
    expect(firstTabOf(tabs, { waiting: 3, 'to-decide': 1 })?.key).toBe('to-decide');
    expect(firstTabOf(tabs, {})?.key).toBe('to-decide');
  });

  it('counts no case twice on 今日', () => {
    const today = tabsOf('consult-coordinator').find((tab) => tab.key === 'today');
    if (!today) throw new Error('no tab');
    const states = tabSearches(today, {}, NOW).flatMap((one) => String(one['business-status']).split(','));
    expect(new Set(states).size).toBe(states.length);
  });

  it('asks a duty head for 特急 only', () => {
    expect(primaryActionOf('duty-head', 'draft', 'stat')).toBe('approve');
    expect(primaryActionOf('duty-head', 'draft', 'urgent')).toBeUndefined();
  });
});

describe('a file for a spreadsheet', () => {
  it('quotes, and gives no formula away', () => {
    expect(csvOf([['a"b', '=1+1', 3, null], ['行\n二', '', -2, undefined]])).toBe('\ufeff"a""b","\'=1+1",3,\r\n"行\n二","",-2,\r\n');
  });
});

describe('what a person keeps', () => {
  it('is read back as it was written, with at most 12 views', () => {
    const basic = { resourceType: 'Basic' as const, code: {}, author: { reference: 'Practitioner/1' } };
    const views = Array.from({ length: 15 }, (_, index) => ({ name: `v${index}`, query: 'tab=today' }));
    const back = readPersonal(withPersonal(basic, { seen: '2026-11-22T04:00:00Z', views }));
    expect(back.seen).toBe('2026-11-22T04:00:00Z');
    expect(back.views).toHaveLength(12);
    expect(readPersonal(withPersonal(basic, { seen: undefined, views: [] }))).toEqual({ seen: undefined, views: [] });
  });
});

describe('a figure', () => {
  const figure = (value: number | null, previous: number | null, decimals = 0) => ({ code: 'x', name: { zh: '', en: '' }, unit: '', value, previous, decimals }) as Indicator;
  it('is compared with the day before only when both are known', () => {
    expect(changeText(figure(5, 3))).toBe('+2');
    expect(changeText(figure(1.2, 2.7, 1))).toBe('−1.5');
    expect(changeText(figure(3, 3))).toBe('±0');
    expect(changeText(figure(null, 3))).toBe('—');
    expect(changeText(figure(3, null))).toBe('—');
  });
  it('shows minutes with their decimal', () => {
    expect(valueText(figure(0, null, 1))).toBe('0.0');
    expect(valueText(figure(1234, null))).toBe('1,234');
  });
  it('belongs to a whole day only after 24:00', () => {
    expect(isWholeDay('2026-11-22', '2026-11-22T23:59:00+08:00')).toBe(false);
    expect(isWholeDay('2026-11-22', '2026-11-23T00:00:00+08:00')).toBe(true);
  });
});

describe('an earlier study', () => {
  it('is one of the same kind, the latest first', () => {
    const study = (id: string, started: string, modality = 'CT') => ({ resourceType: 'ImagingStudy' as const, id, started, status: 'available', subject: {}, modality: [{ code: modality }] });
    const now = study('now', '2026-11-22T01:00:00Z');
    const found = priorsOf(now as never, [now, study('old', '2026-01-01T01:00:00Z'), study('older', '2025-01-01T01:00:00Z'), study('later', '2026-12-01T01:00:00Z'), study('mr', '2026-01-02T01:00:00Z', 'MR')] as never);
    expect(found.map((one) => one.id)).toEqual(['old', 'older']);
  });
  it('shows the slice nearest to a place in the body', () => {
    const slices = [30, 20, 10].map((position, index) => ({ uid: String(index), number: index, position }));
    expect(nearestSlice({ slices, thickness: 10, window: undefined }, 14, 0)).toBe(2);
    expect(nearestSlice({ slices: slices.map((one) => ({ ...one, position: undefined })), thickness: 10, window: undefined }, 14, 1)).toBe(1);
  });
});
