// How fast $import takes resources in:  node bench/import.mjs [--count 100000]   (SHANHAI_PROGRAM as in the tests)
//
// One NDJSON file of Observations of 1.4 KB, validated, indexed, with views and audit on, into a fresh folder. The clock runs from
// the job's first state to its last, as the job's own row says; processor times are the server's threads', by name of their work
// where /proc tells them apart. The load is printed beside it: both cores are wanted, one prepares and one writes.
import { readFileSync, readdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { addSignedIn } from '../scenarios/world.mjs';
import { startWorld, waitFor } from '../tests/api/support.mjs';

const TICKS_A_SECOND = 100;

// As in bench/run.mjs: a blood pressure with two components, as a monitor sends it.
const observation = (patient, number) => JSON.stringify({
  resourceType: 'Observation', status: 'final', identifier: [{ system: 'urn:example:monitor', value: `I-${number}` }],
  category: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'vital-signs', display: 'Vital Signs' }] }],
  code: { coding: [{ system: 'http://loinc.org', code: '85354-9', display: 'Blood pressure panel' }], text: '血压' },
  subject: { reference: `Patient/${patient}`, display: '示例患者' }, effectiveDateTime: new Date(Date.UTC(2026, 0, 1) + number * 1000).toISOString(),
  issued: '2026-03-01T08:00:00+08:00', performer: [{ display: '病区监护仪' }],
  interpretation: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation', code: 'N', display: 'Normal' }] }],
  note: [{ text: '患者静息十分钟后测量，右上臂，坐位' }], bodySite: { text: '右上臂' }, method: { text: '示波法' },
  component: [
    { code: { coding: [{ system: 'http://loinc.org', code: '8480-6', display: 'Systolic' }], text: '收缩压' }, valueQuantity: { value: 110 + number % 40, unit: 'mmHg', system: 'http://unitsofmeasure.org', code: 'mm[Hg]' } },
    { code: { coding: [{ system: 'http://loinc.org', code: '8462-4', display: 'Diastolic' }], text: '舒张压' }, valueQuantity: { value: 60 + number % 30, unit: 'mmHg', system: 'http://unitsofmeasure.org', code: 'mm[Hg]' } },
  ],
});

// Processor seconds of each thread, by its number.
function threadTimes(pid) {
  return new Map(readdirSync(`/proc/${pid}/task`).map((thread) => {
    const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1').split(') ')[1].split(' ');
    return [thread, (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND];
  }));
}

// All of the process, its ended threads too.
function processTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

const { values } = parseArgs({ options: { count: { type: 'string', default: '100000' } } });
const count = Number(values.count);
const w = await startWorld();
const steward = await addSignedIn(w.admins.county, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
  { account: 'panyun', name: '潘芸', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000041' });
const text = Array.from({ length: count }, (_, i) => observation(w.patient.id, i)).join('\n');
const { pid } = w.server.child;
const before = threadTimes(pid);
const processBefore = processTime(pid);
const asked = await steward.request('POST', '/fhir/$import', text, { 'Content-Type': 'application/fhir+ndjson' });
const path = new URL(asked.headers.get('content-location')).pathname;
const started = Date.now();
await waitFor('the import', async () => (await steward.request('GET', path)).status === 200, 1200);
const seconds = (Date.now() - started) / 1000;
const times = [...threadTimes(pid)].map(([thread, time]) => time - (before.get(thread) ?? 0)).sort((a, b) => b - a);
const sum = processTime(pid) - processBefore;
const answer = (await steward.request('GET', path)).json;
const each = (time) => `${(time * 1e6 / count).toFixed(0)} µs`;
console.log(`${answer.stored} of ${count} resources of ${(text.length / count).toFixed(0)} characters in ${seconds.toFixed(1)} s: ${Math.round(count / seconds)} resources/s; ` +
  `processor ${each(sum)} a resource, of it in the busiest threads that last ${times.slice(0, 3).map(each).join(', ')}; load average ${loadavg().map((l) => l.toFixed(1)).join(' ')}`);
await w.stop();
