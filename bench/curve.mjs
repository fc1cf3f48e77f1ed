// The curve of searches over the number of patients: loads patients of 100 resources each (bench/patients.mjs) by transaction bundles, asks
// each shape of search by HTTP, one client, values drawn from what is stored, and gives p50, p99 and errors at each size.
// Called by run.mjs (`--only curve`).
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { startServer } from '../scenarios/world.mjs';
import { PER_PATIENT, patientLines, readTemplates } from './patients.mjs';

const PATIENTS_A_BUNDLE = 10;
const BUNDLES_AT_ONCE = 4;
const DEEP_PAGE = 50;
const UCUM = 'http://unitsofmeasure.org';

class Curve {
  constructor(program, folder, shared) {
    Object.assign(this, { program, folder, templates: readTemplates(shared), agent: new Agent({ keepAlive: true }) });
    this.state = existsSync(join(folder, 'curve.json')) ? JSON.parse(readFileSync(join(folder, 'curve.json'), 'utf8')) : this.makeFolder();
  }

  // A folder with one data steward and his token; what is loaded stands in curve.json, so that a later run goes on.
  makeFolder() {
    mkdirSync(this.folder, { recursive: true });
    const data = join(this.folder, 'data');
    const run = (...words) => execFileSync(this.program, words, { encoding: 'utf8' });
    const made = JSON.parse(run('init', '--data', data, '--organization', '彭水县示例医院', '--account', 'admin', '--name', '罗平'));
    const added = run('user', 'add', 'panyun', '--data', data, '--role', 'data-steward', '--organization', made.organization, '--person', '潘芸', '--title', 'attending');
    const token = run('user', 'token', 'panyun', '--data', data, '--post', /post\s+(\S+)/.exec(added)[1]);
    return { token: /shanhai_[0-9a-f]+/.exec(token)[0], patients: 0, loads: [] };
  }

  async start() {
    this.server = await startServer(this.program, join(this.folder, 'data'), ['--port', '0', '--dicom-port', '0']);
    this.base = this.server.base;
  }

  ask(method, path, body) {
    return new Promise((resolve, reject) => {
      const headers = { Authorization: `Bearer ${this.state.token}`, ...(body && { 'Content-Type': 'application/fhir+json', Prefer: 'return=minimal' }) };
      const asked = request(this.base + path, { method, agent: this.agent, headers }, (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part));
        answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(parts).toString() }));
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }

  async storePatients(from, to) {
    const entries = [];
    for (let i = from; i < to; i++) {
      for (const line of patientLines(this.templates, i)) {
        const [, type, id] = /^\{"resourceType":"(\w+)","id":"([^"]+)"/.exec(line);
        entries.push(`{"resource":${line},"request":{"method":"PUT","url":"${type}/${id}"}}`);
      }
    }
    const answer = await this.ask('POST', '/fhir', `{"resourceType":"Bundle","type":"transaction","entry":[${entries.join(',')}]}`);
    if (answer.status !== 200) throw new Error(answer.text);
  }

  async load(patients) {
    const [begin, from] = [Date.now(), this.state.patients];
    let next = from;
    const lane = async () => {
      while (next < patients) {
        const at = next;
        next = Math.min(patients, at + PATIENTS_A_BUNDLE);
        await this.storePatients(at, next);
      }
    };
    await Promise.all(Array.from({ length: BUNDLES_AT_ONCE }, lane));
    const seconds = (Date.now() - begin) / 1000;
    if (patients > from) this.state.loads.push({ patients, rate: Math.round(((patients - from) * PER_PATIENT) / seconds), seconds: Math.round(seconds) });
    this.state.patients = Math.max(from, patients);
    writeFileSync(join(this.folder, 'curve.json'), JSON.stringify(this.state));
    console.log(`${patients} patients: ${JSON.stringify(this.state.loads.at(-1))}`);
  }

  // Something stored: the patient of a number and one of his resources that fits.
  some(type, fits = () => true) {
    for (;;) {
      const lines = patientLines(this.templates, Math.floor(this.chance() * this.state.patients)).map((line) => JSON.parse(line));
      const found = lines.filter((r) => r.resourceType === type && fits(r));
      if (found.length > 0) return { patient: lines[0], resource: found[Math.floor(this.chance() * found.length)] };
    }
  }

  chance() {
    this.random = (Math.imul(this.random ?? 1, 1664525) + 1013904223) >>> 0;
    return this.random / 2 ** 32;
  }

  // Follows the links of pages as a client does: the question is the one that gives page DEEP_PAGE.
  async deepPage(path) {
    let at = path;
    for (let page = 1; page < DEEP_PAGE; page++) {
      const answer = await this.ask('GET', at);
      const next = answer.status === 200 && JSON.parse(answer.text).link.find((l) => l.relation === 'next');
      if (!next) return at;
      const url = new URL(next.url);
      at = url.pathname + url.search;
    }
    return at;
  }

  async measure(shape, runs) {
    const times = [];
    let [errors, hits] = [0, 0];
    for (let i = 0; i < runs; i++) {
      const path = await shape.ask(this);
      const begin = process.hrtime.bigint();
      const answer = await this.ask('GET', path);
      times.push(Number(process.hrtime.bigint() - begin) / 1e6);
      if (answer.status !== 200) errors++;
      else hits += JSON.parse(answer.text).entry?.length ?? 0;
    }
    times.sort((a, b) => a - b);
    return { p50: times[runs >> 1], p99: times[Math.floor(runs * 0.99)], errors, hits: hits / runs };
  }

  async stop() {
    this.agent.destroy();
    await this.server.stop();
  }
}

const quantity = (o) => o.valueQuantity !== undefined;
const code = (o) => o.code.coding[0].code;
const page = '&_count=20';
const COSTLY = /page 50|_total/; // each question is 50, or counts all

const shapes = [
  { name: 'string `Patient?family=`', ask: (c) => `/fhir/Patient?family=${c.some('Patient').patient.name[0].family}${page}` },
  { name: 'token `Patient?identifier=`', ask: (c) => `/fhir/Patient?identifier=${c.some('Patient').patient.identifier[0].value}` },
  { name: 'token `Observation?code=`', ask: (c) => `/fhir/Observation?code=http://loinc.org|${code(c.some('Observation').resource)}${page}` },
  { name: 'date `Patient?birthdate=DAY`', ask: (c) => `/fhir/Patient?birthdate=${c.some('Patient').patient.birthDate}${page}` },
  { name: 'date `Observation?date=DAY`', ask: (c) => `/fhir/Observation?date=${c.some('Observation').resource.effectiveDateTime.slice(0, 10)}${page}` },
  { name: 'two: `Observation?code=&date=ge`', ask: (c) => { const o = c.some('Observation').resource; return `/fhir/Observation?code=${code(o)}&date=ge${o.effectiveDateTime.slice(0, 10)}${page}`; } },
  { name: 'reference `Observation?patient=`', ask: (c) => `/fhir/Observation?patient=${c.some('Patient').patient.id}${page}` },
  { name: 'chain `Observation?patient.identifier=`', ask: (c) => `/fhir/Observation?patient.identifier=${c.some('Patient').patient.identifier[0].value}${page}` },
  { name: 'chain `Observation?code=&patient.family=`', ask: (c) => { const { patient, resource } = c.some('Observation'); return `/fhir/Observation?code=${code(resource)}&patient.family=${patient.name[0].family}${page}`; } },
  { name: '`Patient?_has:Observation:patient:code-value-quantity=`', ask: (c) => { const o = c.some('Observation', quantity).resource; return `/fhir/Patient?_has:Observation:patient:code-value-quantity=${code(o)}$${o.valueQuantity.value}${page}`; } },
  { name: '`Patient?family=&_has:Condition:patient:code=`', ask: (c) => { const { patient, resource } = c.some('Condition'); return `/fhir/Patient?family=${patient.name[0].family}&_has:Condition:patient:code=${code(resource)}${page}`; } },
  { name: 'composite `Observation?code-value-quantity=`', ask: (c) => { const o = c.some('Observation', quantity).resource; return `/fhir/Observation?code-value-quantity=${code(o)}$${o.valueQuantity.value}${page}`; } },
  { name: 'composite, `CODE$gt…`, far out', ask: (c) => { const o = c.some('Observation', quantity).resource; return `/fhir/Observation?code-value-quantity=${code(o)}$gt${(o.valueQuantity.value * 1.4).toFixed(2)}${page}`; } },
  { name: 'quantity `value-quantity=V\\|UCUM\\|UNIT`', ask: (c) => { const q = c.some('Observation', (o) => quantity(o) && o.valueQuantity.system === UCUM).resource.valueQuantity; return `/fhir/Observation?value-quantity=${q.value}|${UCUM}|${encodeURIComponent(q.code)}${page}`; } },
  { name: 'quantity without unit `value-quantity=V`', ask: (c) => `/fhir/Observation?value-quantity=${c.some('Observation', quantity).resource.valueQuantity.value}${page}` },
  { name: '`Observation?patient=&_sort=-date`', ask: (c) => `/fhir/Observation?patient=${c.some('Patient').patient.id}&_sort=-date${page}` },
  { name: '`Observation?_sort=-date`', ask: () => `/fhir/Observation?_sort=-date${page}` },
  { name: '`Observation?code=&_sort=-date`', ask: (c) => `/fhir/Observation?code=${code(c.some('Observation').resource)}&_sort=-date${page}` },
  { name: '`Patient?_sort=birthdate`', ask: () => `/fhir/Patient?_sort=birthdate${page}` },
  { name: '`Patient?_sort=family,birthdate`', ask: () => `/fhir/Patient?_sort=family,birthdate${page}` },
  { name: 'page 50 of `Observation?code=`', ask: (c) => c.deepPage(`/fhir/Observation?code=8302-2${page}`) },
  { name: 'page 50 of `Patient?_sort=birthdate`', ask: (c) => c.deepPage(`/fhir/Patient?_sort=birthdate${page}`) },
  { name: '`_include=Observation:encounter`, `:subject`', ask: (c) => `/fhir/Observation?code=${code(c.some('Observation').resource)}&_include=Observation:encounter&_include=Observation:subject${page}` },
  { name: '`Patient?identifier=&_revinclude=Observation:patient`', ask: (c) => `/fhir/Patient?identifier=${c.some('Patient').patient.identifier[0].value}&_revinclude=Observation:patient` },
  { name: '`Observation?code=&_total=accurate`', ask: (c) => `/fhir/Observation?code=${code(c.some('Observation').resource)}&_total=accurate${page}` },
];

const milliseconds = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(0));

// The table: a row a shape, for each size p50, p99 and what was refused.
export async function measureCurve({ program, folder, shared, sizes, runs = 200, matching = /./ }) {
  const asked = shapes.filter((shape) => matching.test(shape.name));
  const curve = new Curve(program, folder, shared);
  await curve.start();
  try {
    const columns = [];
    for (const size of sizes.filter((s) => s >= curve.state.patients)) {
      await curve.load(size);
      await new Promise((resolve) => { setTimeout(resolve, 15000); }); // the rows that wait are merged
      const column = [];
      for (const shape of asked) {
        const made = await curve.measure(shape, COSTLY.test(shape.name) ? Math.ceil(runs / 10) : runs);
        column.push(made);
        console.log(`${size}: ${shape.name}: p50 ${milliseconds(made.p50)} p99 ${milliseconds(made.p99)} ms, ${made.errors} errors, ${made.hits.toFixed(1)} hits`);
      }
      columns.push({ size, column });
    }
    const head = columns.map(({ size }) => `${size.toLocaleString('en')} patients: p50, p99 ms`);
    return [
      ...curve.state.loads.map((l) => `Loaded to ${l.patients.toLocaleString('en')} patients at ${l.rate.toLocaleString('en')} resources/s (${l.seconds} s), transaction bundles of ${PATIENTS_A_BUNDLE * PER_PATIENT}, ${BUNDLES_AT_ONCE} at once.`),
      '', `| search | ${head.join(' | ')} | hits |`, `|---|${columns.map(() => '---|').join('')}---|`,
      ...asked.map(({ name }, i) => `| ${name} | ${columns.map(({ column }) => `${milliseconds(column[i].p50)}, ${milliseconds(column[i].p99)}${column[i].errors ? `, **${column[i].errors} refused**` : ''}`).join(' | ')} | ${columns.at(-1).column[i].hits.toFixed(1)} |`),
    ].join('\n');
  } finally {
    await curve.stop();
  }
}
