// 远程诊断: the inviting side answers for the images, a reporting doctor writes, another one reviews and signs; no lead, no session.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { code, reference, stateOf, text } from '../../scenarios/client.mjs';
import { createPatient, draftConsult, PASSWORD } from '../../scenarios/world.mjs';
import { hire, stepNames } from './play.mjs';
import { issuesOf, makePhantom, startWorld, stow, waitFor } from './support.mjs';

let w;
let study;
let reporter;
let reviewer;
let other;
before(async () => {
  w = await startWorld();
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-diagnosis-'));
  makePhantom(folder, '--slices', '3', '--size', '64', '--seed', '91');
  await stow(w.doctor, readdirSync(folder).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(folder, name))));
  rmSync(folder, { recursive: true, force: true });
  const radiologist = (account, name, title, n) => hire(w, { account, name, role: 'radiologist', title, specialty: '医学影像科', phone: `1540000005${n}` });
  reporter = await radiologist('fengshu', '冯舒', 'attending', 1);
  reviewer = await radiologist('heqing', '何清', 'chief', 2);
  other = await radiologist('luping', '陆平', 'chief', 3);
  study = await waitFor('the study', async () => (await w.doctor.search('ImagingStudy'))[0]);
});
after(async () => w?.stop());

const imaging = { category: [{ coding: [{ system: 'urn:shanhai:codes:diagnosis-kind', code: 'imaging', display: '影像' }] }] };
const draft = (options = {}) => draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, machine: 'remote-diagnosis',
  shared: [`ImagingStudy/${study.id}`], more: imaging, ...options });
const judge = (person, d, verdict = 'acceptable', more = {}) =>
  person.takeAnswer(d.task, 'judge-images', { study: reference(`ImagingStudy/${study.id}`), verdict: code(verdict), ...more });

async function toAssigned(options) {
  const d = await draft(options);
  assert.equal((await judge(w.doctor, d)).status, 200);
  await w.doctor.take(d.task, 'submit');
  await w.coordinator.take(d.task, 'assign', { reporter: reference(reporter.post), reviewer: reference(reviewer.post) });
  return d;
}

const reportOf = (person, d, more = {}) => ({ resourceType: 'DiagnosticReport', status: 'partial',
  code: { coding: [{ system: 'urn:shanhai:codes:report-kind', code: 'remote-diagnosis', display: '远程诊断报告' }] },
  basedOn: [{ reference: `ServiceRequest/${d.request}` }], subject: { reference: `Patient/${w.patient.id}` }, imagingStudy: [{ reference: `ImagingStudy/${study.id}` }],
  resultsInterpreter: [{ reference: person.post }], conclusion: '双肺病毒性肺炎可能大',
  extension: [{ url: 'urn:shanhai:ext:findings', valueString: '双肺多发磨玻璃影，以胸膜下为主' }, { url: 'urn:shanhai:ext:advice', valueString: '结合临床，3 日后复查' }], ...more });

async function toWritten() {
  const d = await toAssigned();
  const report = await reporter.create(reportOf(reporter, d));
  await reporter.take(d.task, 'submit-report', { report: reference(`DiagnosticReport/${report.id}`) });
  return { ...d, report: report.id };
}
const sees = async (person, way) => (await person.request('GET', `/fhir/${way}`)).status;

describe('asking', () => {
  test('all gaps at once: no kind, no images, no verdict of the inviting side, no consent', async () => {
    const d = await draft({ shared: [], more: {}, consent: false, leave: ['reasonCode'] });
    const answer = await w.doctor.takeAnswer(d.task, 'submit');
    assert.equal(answer.status, 422);
    const gaps = issuesOf(answer).join('\n');
    for (const word of ['诊断类别', '未附检查资料', '申请理由', '知情同意书']) assert.match(gaps, new RegExp(word));
    const unjudged = await draft();
    assert.match(issuesOf(await w.doctor.takeAnswer(unjudged.task, 'submit')).join(), /先评价每份影像的质量/);
  });

  test('the inviting side judges its images; what is unacceptable is not sent', async () => {
    const d = await draft();
    for (const person of [w.coordinator, reporter, w.lead]) assert.equal((await judge(person, d)).status, 404, person.name);
    assert.equal((await judge(w.doctor, d, 'unacceptable')).status, 422, 'a reason is needed');
    assert.equal((await judge(w.radiologist, d, 'unacceptable', { fault: code('motion') })).status, 200, 'their own radiologist may');
    assert.match(issuesOf(await w.doctor.takeAnswer(d.task, 'submit')).join(), /重新检查/);
    assert.equal((await judge(w.doctor, d, 'limited', { fault: code('thick-slices') })).status, 200);
    assert.equal(stateOf(await w.doctor.take(d.task, 'submit')), 'submitted');
    assert.equal((await judge(w.coordinator, d)).status, 422, 'not after it was sent');
  });

  test('only a county doctor begins one, in its first state', async () => {
    const task = { resourceType: 'Task', status: 'draft', intent: 'order', code: { coding: [{ system: 'urn:shanhai:codes:workflow', code: 'remote-diagnosis' }] },
      businessStatus: { coding: [{ system: 'urn:shanhai:codes:remote-diagnosis-state', code: 'draft' }] }, focus: { reference: `ServiceRequest/${(await draft()).request}` },
      for: { reference: `Patient/${w.patient.id}` }, requester: { reference: w.doctor.post } };
    assert.equal((await w.coordinator.request('POST', '/fhir/Task', task)).status, 403);
    task.businessStatus.coding[0].code = 'reported';
    assert.equal((await w.doctor.request('POST', '/fhir/Task', task)).status, 422);
  });

  test('returned with all gaps, refused with a reason, cancelled by the requester', async () => {
    const d = await draft();
    await judge(w.doctor, d);
    await w.doctor.take(d.task, 'submit');
    assert.equal((await w.coordinator.takeAnswer(d.task, 'return', {})).status, 422);
    assert.equal(stateOf(await w.coordinator.take(d.task, 'return', { gap: [text('缺增强扫描'), text('缺既往片')] })), 'returned');
    await w.doctor.take(d.task, 'submit');
    assert.equal((await w.coordinator.takeAnswer(d.task, 'refuse', {})).status, 422);
    assert.equal(stateOf(await w.doctor.take(d.task, 'cancel', { reason: text('已转院') })), 'cancelled');
    assert.equal(await sees(w.coordinator, `ServiceRequest/${d.request}`), 404);
  });
});

describe('two doctors', () => {
  test('the same person is refused, also under two posts; others hospitals and roles too', async () => {
    const d = await draft();
    await judge(w.doctor, d);
    await w.doctor.take(d.task, 'submit');
    const assign = (a, b, person = w.coordinator) => person.takeAnswer(d.task, 'assign', { reporter: reference(a), reviewer: reference(b) });
    const again = await w.admins.helper.create({ resourceType: 'PractitionerRole', active: true, practitioner: { reference: `Practitioner/${reporter.session.person.id}` },
      organization: { reference: w.coordinator.organization }, code: [{ coding: [{ system: 'urn:shanhai:codes:role', code: 'radiologist' }] }],
      extension: [{ url: 'urn:shanhai:ext:title', valueCode: 'chief' }] });
    assert.match(issuesOf(await assign(reporter.post, reporter.post)).join(), /两名不同/);
    assert.match(issuesOf(await assign(reporter.post, `PractitionerRole/${again.id}`)).join(), /两名不同/);
    assert.match(issuesOf(await assign(w.radiologist.post, reviewer.post)).join(), /不属于受邀医院/);
    assert.match(issuesOf(await assign(w.lead.post, reviewer.post)).join(), /影像科医师/);
    assert.equal((await assign(reporter.post, `PractitionerRole/${crypto.randomUUID()}`)).status, 422);
    assert.equal((await assign(reporter.post, reviewer.post, w.doctor)).status, 403);
    assert.equal((await assign(reporter.post, reviewer.post)).status, 200);
    const mine = await w.doctor.read(`Task/${d.task}`);
    mine.input[1].valueReference.reference = reporter.post;
    assert.ok([403, 422].includes((await w.doctor.request('PUT', `/fhir/Task/${d.task}`, mine)).status), 'nobody changes who reviews by PUT');
  });

  test('the record opens to the two, to nobody else of the hospital; a decline closes it', async () => {
    const d = await toAssigned();
    for (const way of [`Task/${d.task}`, `ServiceRequest/${d.request}`, `Patient/${w.patient.id}`, `ImagingStudy/${study.id}`, `Consent/${d.consent}`]) {
      for (const person of [reporter, reviewer]) assert.equal(await sees(person, way), 200, `${person.name} ${way}`);
      for (const person of [other, w.lead]) assert.ok([403, 404].includes(await sees(person, way)), `${person.name} ${way}`);
    }
    assert.equal((await reporter.takeAnswer(d.task, 'decline', {})).status, 422);
    assert.equal(stateOf(await reporter.take(d.task, 'decline', { reason: text('夜班交接') })), 'submitted');
    for (const person of [reporter, reviewer]) assert.equal(await sees(person, `ServiceRequest/${d.request}`), 404);
  });

  test('a report is its writer\'s until handed in; then it stands still; the reviewer sends back or signs', async () => {
    const d = await toAssigned();
    assert.ok([403, 422].includes((await reviewer.request('POST', '/fhir/DiagnosticReport', reportOf(reporter, d))).status), 'not in another\'s name');
    assert.equal((await reporter.request('POST', '/fhir/DiagnosticReport', reportOf(reporter, d, { status: 'final' }))).status, 422, 'not final by POST');
    const report = await reporter.create(reportOf(reporter, d, { conclusion: undefined }));
    const hers = `DiagnosticReport/${report.id}`;
    for (const person of [reviewer, other, w.doctor, w.radiologist, w.coordinator, w.lead, w.duty, w.commander]) {
      assert.ok([403, 404].includes(await sees(person, hers)), person.name);
      const list = await person.request('GET', `/fhir/DiagnosticReport?subject=Patient/${w.patient.id}`);
      assert.ok(!list.text.includes(report.id), `${person.name} lists the draft`);
    }
    const hand = (id = report.id, person = reporter) => person.takeAnswer(d.task, 'submit-report', { report: reference(`DiagnosticReport/${id}`) });
    assert.match(issuesOf(await hand()).join(), /缺诊断意见/);
    assert.equal((await hand(crypto.randomUUID())).status, 422);
    await reporter.update({ ...report, conclusion: '双肺病毒性肺炎' });
    assert.equal((await hand(report.id, reviewer)).status, 403);
    assert.equal((await hand()).status, 200);
    assert.equal((await reporter.read(hers)).status, 'preliminary');
    assert.equal((await reporter.request('PUT', `/fhir/${hers}`, await reporter.read(hers))).status, 422, 'it stands still');
    assert.equal(await sees(reviewer, hers), 200);
    for (const person of [other, w.doctor, w.radiologist, w.coordinator]) assert.ok([403, 404].includes(await sees(person, hers)), person.name);
    assert.equal((await reviewer.takeAnswer(d.task, 'send-back', {})).status, 422);
    assert.equal(stateOf(await reviewer.take(d.task, 'send-back', { reason: text('补充纵隔淋巴结') })), 'assigned');
    const back = await reporter.read(hers);
    assert.equal(back.status, 'partial');
    await reporter.update({ ...back, conclusion: '双肺病毒性肺炎；纵隔淋巴结未见肿大' });
    assert.equal((await hand()).status, 200);
    assert.equal((await reporter.takeAnswer(d.task, 'sign', { password: text(PASSWORD) })).status, 403, 'nobody signs his own');
    assert.equal((await w.coordinator.takeAnswer(d.task, 'sign', { password: text(PASSWORD) })).status, 403);
    assert.equal((await reviewer.takeAnswer(d.task, 'sign', { password: text('wrong-password-1') })).status, 422);
    assert.equal((await reviewer.takeAnswer(d.task, 'sign', {})).status, 422);
    assert.equal(stateOf(await reviewer.take(d.task, 'sign', { password: text(PASSWORD) })), 'reported');
    assert.equal((await reviewer.takeAnswer(d.task, 'sign', { password: text(PASSWORD) })).status, 422, 'once');
  });
});

describe('the signed report', () => {
  let d;
  let bundle;
  test('final, both names, signed, and open to those who asked', async () => {
    d = await toWritten();
    const signed = await reviewer.take(d.task, 'sign', { password: text(PASSWORD) });
    const output = signed.output.find((o) => o.type.coding[0].code === 'diagnosis-report').valueReference.reference;
    for (const person of [w.doctor, w.radiologist]) {
      const report = await person.read(`DiagnosticReport/${d.report}`);
      assert.equal(report.status, 'final', person.name);
      assert.deepEqual(report.resultsInterpreter.map((r) => r.reference), [reporter.post, reviewer.post]);
    }
    bundle = await w.doctor.read(output);
    const composition = bundle.entry[0].resource;
    assert.deepEqual(composition.section.map((s) => s.title), ['检查所见', '诊断意见', '建议']);
    assert.match(composition.section[0].text.div, /磨玻璃影/);
    assert.deepEqual(composition.attester.map((a) => [a.mode, a.party.reference]),
      [['personal', reporter.post], ['professional', reviewer.post], ['official', w.coordinator.organization]]);
    assert.equal(bundle.signature.sigFormat, 'application/x-sm2-sm3');
    assert.equal(bundle.entry.find((e) => e.resource.resourceType === 'DiagnosticReport').resource.status, 'final');
    for (const person of [other, w.lead, w.coordinator, w.commander, w.admins.helper]) {
      for (const way of [output, `DiagnosticReport/${d.report}`]) assert.ok([403, 404].includes(await sees(person, way)), `${person.name} ${way}`);
    }
    for (const person of [reporter, reviewer, w.doctor]) {
      const put = await person.request('PUT', `/fhir/DiagnosticReport/${d.report}`, { ...(await person.read(`DiagnosticReport/${d.report}`)), conclusion: '改' });
      assert.ok([403, 422].includes(put.status), `${person.name} ${put.status}`);
    }
    assert.deepEqual(await stepNames(w.doctor, d.task), ['judge-images', 'submit', 'assign', 'submit-report', 'sign']);
  });

  test('an addendum amends the report and leaves the signed document as it was', async () => {
    assert.equal((await reporter.takeAnswer(d.task, 'addendum', { text: text('x'), password: text(PASSWORD) })).status, 403);
    const task = await reviewer.take(d.task, 'addendum', { text: text('补充：右肺下叶小结节，建议 3 个月复查'), password: text(PASSWORD) });
    const report = await w.doctor.read(`DiagnosticReport/${d.report}`);
    assert.equal(report.status, 'amended');
    assert.equal(report.conclusion, '双肺病毒性肺炎可能大', 'what was said stays');
    const added = await w.doctor.read(task.output.at(-1).valueReference.reference);
    assert.match(added.entry[0].resource.section[0].text.div, /小结节/);
    assert.equal((await w.doctor.read(`Bundle/${bundle.id}`)).entry[0].resource.section.length, 3);
  });

  test('closing ends what was open; the report stays', async () => {
    assert.equal((await w.coordinator.takeAnswer(d.task, 'acknowledge')).status, 403);
    assert.equal(stateOf(await w.doctor.take(d.task, 'acknowledge')), 'closed');
    for (const person of [reporter, reviewer]) {
      assert.equal(await sees(person, `Bundle/${bundle.id}`), 200, person.name);
      assert.equal(await sees(person, `DiagnosticReport/${d.report}`), 200, person.name);
      assert.equal(await sees(person, `Consent/${d.consent}`), 404, person.name);
    }
    assert.equal(await sees(w.coordinator, `Bundle/${bundle.id}`), 403);
    assert.equal(stateOf(await reviewer.take(d.task, 'addendum', { text: text('再补充'), password: text(PASSWORD) })), 'closed');
  });

  test('another patient of the county is never there', async () => {
    const stranger = await createPatient(w.doctor, { id: 'P-9', national: '660243198001010028', name: '赵一', gender: 'female', birthDate: '1980-01-01' });
    for (const person of [reporter, reviewer, other]) assert.equal(await sees(person, `Patient/${stranger.id}`), 404);
    const report = reportOf(reporter, d, { subject: { reference: `Patient/${stranger.id}` } });
    assert.ok([403, 404, 422].includes((await reporter.request('POST', '/fhir/DiagnosticReport', report)).status));
  });
});
