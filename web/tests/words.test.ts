import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import en from '../src/i18n/en.json';
import zh from '../src/i18n/zh.json';
import { CONSULT_STATES } from '../src/states';

const root = join(__dirname, '..');
const flat = (value: unknown, path = ''): [string, unknown][] =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, child]) => flat(child, path ? `${path}.${key}` : key))
    : [[path, value]];
const zhWords = new Map(flat(zh));
const enWords = new Map(flat(en));

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sources(path) : /\.tsx?$/.test(entry.name) ? [path] : [];
  });
}

describe('words', () => {
  it('are the same keys in both languages, none of them empty', () => {
    expect([...enWords.keys()].sort()).toEqual([...zhWords.keys()].sort());
    for (const [key, text] of [...zhWords, ...enWords]) expect(String(text).trim(), key).not.toBe('');
  });

  it('keep their places for values in both languages', () => {
    const places = (text: unknown) => (String(text).match(/\{\{\w+\}\}/g) ?? []).sort();
    for (const [key, text] of zhWords) expect(places(enWords.get(key)), key).toEqual(places(text));
  });

  it('exist for every key that the screens name', () => {
    for (const path of sources(join(root, 'src'))) {
      for (const [, key = ''] of readFileSync(path, 'utf8').matchAll(/\bt\(\s*'([^']+)'/g)) {
        expect(zhWords.has(key) || key === 'request.samples', `${key} in ${path}`).toBe(true);
      }
    }
  });

  it('name every state of a consult', () => {
    for (const state of CONSULT_STATES) expect(zhWords.has(`state.${state}`), state).toBe(true);
  });

  const workflow = (name: string) => join(root, '..', 'definitions', 'workflows', `${name}.json`);
  interface Rules { states: { code: string; title: { zh: string; en: string } }[]; transitions: { name: string }[] }
  it.skipIf(!existsSync(workflow('consult')))('are those of the workflows for their states and steps', () => {
    const [consult, diagnosis] = ['consult', 'remote-diagnosis'].map((name) => JSON.parse(readFileSync(workflow(name), 'utf8')) as Rules);
    if (!consult || !diagnosis) throw new Error('a workflow is missing');
    const own = diagnosis.states.filter((state) => !consult.states.some((one) => one.code === state.code));
    const rules = { states: [...consult.states, ...own], transitions: [...consult.transitions, ...diagnosis.transitions] };
    expect(rules.states.map((state) => state.code).sort()).toEqual([...CONSULT_STATES].sort());
    for (const state of rules.states) {
      expect(zhWords.get(`state.${state.code}`)).toBe(state.title.zh);
      expect(enWords.get(`state.${state.code}`)).toBe(state.title.en);
    }
    for (const step of rules.transitions) expect(zhWords.has(`did.${step.name}`), step.name).toBe(true);
  });

  const glossary = join(process.env['SHANHAI_SHARED'] ?? join(root, '..', '..', 'shared'), 'glossary.csv');
  it.skipIf(!existsSync(glossary))('are those of the glossary', () => {
    const rows = new Map(readFileSync(glossary, 'utf8').split('\n').slice(1).map((line) => line.split(',')).map(([key = '', zh = '', en = '']) => [key, [zh, en]]));
    const same: Record<string, string> = {
      'urgency.stat': 'urgency_stat', 'urgency.urgent': 'urgency_urgent', 'opinion.dissent': 'dissent', 'consult.purpose': 'consult_purpose',
      'role.consult-coordinator': 'coordinator', 'code.adoption.partly': 'partly_adopted', 'patient.inpatientNo': 'inpatient_no', 'payer.waived': 'fee_waived',
      'state.answering': 'st_answering', 'state.drafted': 'st_to_sign', 'measurement.title': 'ai_assist', 'daily.title': 'daily_report',
    };
    for (const [key, word] of Object.entries(same)) expect([zhWords.get(key), enWords.get(key)], key).toEqual(rows.get(word));
  });
});
