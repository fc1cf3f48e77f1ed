// Patients by the thousand: the synthetic bundles of the shared suites, over and over with new identities. Every copy has ids,
// names, numbers, days and measured values of its own, always the same for the same number, so that a bench can ask for what it
// knows to be stored. Each patient has exactly PER_PATIENT resources. Nobody in it exists: telephones begin with 154.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const PER_PATIENT = 100;
const DAY_MS = 86400000;
const DAYS_AROUND = 3650;
const SHARED = new Set(['Organization', 'Practitioner']); // of the region, not of a patient: left out
const UUID = /(?<!Practitioner\/|Organization\/)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const SYLLABLES = ['an', 'bei', 'chu', 'dan', 'er', 'fang', 'gao', 'hui', 'jia', 'kai', 'lin', 'mo', 'ning', 'ou', 'ping', 'qin',
  'ru', 'shan', 'tao', 'wen', 'xi', 'yun', 'ze', 'zhou'];

// A generator of numbers below `below`, by a number.
function chances(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995;
  return (below) => {
    state = Math.imul(state ^ (state >>> 15), state | 1);
    state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
    return ((state ^ (state >>> 14)) >>> 0) % below;
  };
}

// What changes with the copy is marked as ⟦kind value⟧.
function mark(value, key) {
  if (Array.isArray(value)) return value.map((v) => mark(v, key));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, mark(v, /quantity/i.test(key) && k === 'value' ? 'quantity' : k)]));
  }
  if (typeof value === 'number') return key === 'quantity' ? `⟦n${value}⟧` : value;
  if (typeof value !== 'string') return value;
  if (key === 'family') return '⟦f⟧';
  if (/^\d{4}-\d\d-\d\d($|T\d\d:\d\d)/.test(value)) return `⟦d${value}⟧`;
  return value.replace(UUID, '⟦u$&⟧');
}

function markPatient(patient) {
  delete patient.text;
  patient.identifier = [{ system: 'urn:bench:patient', value: '⟦i⟧' }];
  patient.telecom = [{ system: 'phone', value: '154⟦i⟧', use: 'mobile' }];
  patient.extension = undefined;
  return patient;
}

// The text cut where something is put in; a number loses its quotes.
function cut(text) {
  return text.split(/("⟦n[^⟧]*⟧"|⟦[^⟧]*⟧)/).map((piece) => {
    const marked = /^"?⟦(.)([^⟧]*)⟧"?$/.exec(piece);
    return marked ? { kind: marked[1], value: marked[2] } : piece;
  });
}

function templateOf(bundle) {
  const all = bundle.entry.map((e) => e.resource);
  const types = Object.fromEntries(all.map((r) => [r.id, r.resourceType]));
  let resources = all.filter((r) => !SHARED.has(r.resourceType));
  resources = JSON.parse(JSON.stringify(resources).replace(/urn:uuid:([0-9a-f-]{36})/g, (whole, id) => `${types[id] ?? 'Practitioner'}/${id}`));
  resources = resources.slice(0, PER_PATIENT);
  const observations = resources.filter((r) => r.resourceType === 'Observation');
  for (let again = 0; resources.length < PER_PATIENT; again++) { // measured again, some weeks later
    const next = structuredClone(observations[again % observations.length]);
    const weeks = 2 * (1 + Math.floor(again / observations.length));
    next.id = next.id.slice(0, -4) + (0x1000 + again).toString(16);
    next.effectiveDateTime = shift(next.effectiveDateTime, 7 * weeks);
    resources.push(next);
  }
  return resources.map((r) => cut(JSON.stringify(mark(r.resourceType === 'Patient' ? markPatient(r) : r, ''))));
}

export function readTemplates(shared) {
  const folder = join(shared, 'suites/synthea');
  const files = readdirSync(folder).filter((name) => name.endsWith('.json') && !/^(hospital|practitioner)Information/.test(name)).sort();
  return files.map((name) => templateOf(JSON.parse(readFileSync(join(folder, name), 'utf8'))));
}

function shift(text, days) {
  return new Date(Date.parse(`${text.slice(0, 10)}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10) + text.slice(10);
}

function uuid(id, salt) {
  const hex = (n) => (n >>> 0).toString(16).padStart(8, '0');
  let a = Math.imul(parseInt(id.slice(0, 8), 16) ^ salt, 0x85ebca6b);
  a ^= a >>> 13;
  const b = Math.imul(a ^ parseInt(id.slice(9, 13) + id.slice(14, 18), 16) ^ Math.imul(salt, 0xc2b2ae35), 0x27d4eb2f);
  const words = hex(a) + hex(b ^ (b >>> 15));
  return `${words.slice(0, 8)}-${words.slice(8, 12)}-4${words.slice(13, 16)}-${id.slice(19)}`;
}

// Lines of NDJSON: patient `number`, his resources after him.
export function patientLines(templates, number) {
  const chance = chances(number);
  const syllable = () => SYLLABLES[chance(SYLLABLES.length)];
  const days = chance(2 * DAYS_AROUND) - DAYS_AROUND;
  const salt = chance(2 ** 31) ^ number;
  const family = `${syllable()}${syllable()}${syllable()}`;
  const put = ({ kind, value }) => {
    switch (kind) {
      case 'u': return uuid(value, salt);
      case 'd': return shift(value, days);
      case 'n': return (Number(value) * (0.8 + chance(4000) / 10000)).toFixed(2);
      case 'f': return family[0].toUpperCase() + family.slice(1);
      default: return String(number).padStart(8, '0');
    }
  };
  return templates[number % templates.length].map((pieces) => pieces.map((p) => (typeof p === 'string' ? p : put(p))).join(''));
}
