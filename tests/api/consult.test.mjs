// The consult as domain b5 has it: every gap at once, rights, drafts that nobody else reads, signatures that stand.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { code, identity, reference, stateOf, text, time } from '../../scenarios/client.mjs';
import { draftConsult, PASSWORD, patientFacts, createPatient } from '../../scenarios/world.mjs';
import { issuesOf, startWorld } from './support.mjs';

let w;
before(async () => { w = await startWorld(); });
after(async () => { await w?.stop(); });

const readBack = () => [identity('name', patientFacts.name), identity('id-number', patientFacts.national)];

function opinionOf(person, encounter, words) {
  return { resourceType: 'ClinicalImpression', status: 'in-progress', code: { coding: [{ system: 'urn:shanhai:codes:opinion-kind', code: 'opinion' }] },
    subject: { reference: `Patient/${w.patient.id}` }, encounter: { reference: encounter }, assessor: { reference: person.post }, date: new Date().toISOString(),
    summary: words, finding: [{ itemCodeableConcept: { text: words }, basis: `依据-${words}` }] };
}

function jointOf(person, encounter, words) {
  return { resourceType: 'Composition', status: 'preliminary', type: { coding: [{ system: 'urn:shanhai:codes:document', code: 'joint-opinion' }] },
    subject: { reference: `Patient/${w.patient.id}` }, encounter: { reference: encounter }, date: new Date().toISOString(), author: [{ reference: person.post }],
    title: '远程会诊意见报告', section: [{ title: '一致意见', code: { coding: [{ system: 'urn:shanhai:codes:section', code: 'consensus' }] },
      text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml"><p>${words}</p></div>` } }] };
}

async function toAllocated(options = {}) {
  const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, ...options });
  await w.doctor.take(consult.task, 'submit');
  await w.coordinator.take(consult.task, 'allocate');
  return consult;
}

async function toSession(options) {
  const consult = await toAllocated(options);
  await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
  await w.lead.take(consult.task, 'accept');
  await w.expert.take(consult.task, 'accept');
  await w.coordinator.take(consult.task, 'schedule', { start: time(new Date(Date.now() + 60e3).toISOString()) });
  const started = await w.lead.take(consult.task, 'start', { identity: readBack() });
  return { ...consult, encounter: started.encounter.reference };
}

describe('submission', () => {
  test('every gap is told at once, and the state does not move', async () => {
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, consent: false,
      leave: ['reasonCode', 'orderDetail', 'note', 'occurrenceDateTime'] });
    const answer = await w.doctor.takeAnswer(consult.task, 'submit');
    assert.equal(answer.status, 422);
    const gaps = issuesOf(answer).join('\n');
    for (const word of ['会诊理由', '会诊目的', '病情摘要', '希望会诊时间', '知情同意书']) assert.match(gaps, new RegExp(word));
    assert.equal(answer.json.issue.length, 5);
    assert.equal(stateOf(await w.doctor.read(`Task/${consult.task}`)), 'draft');
  });

  test('特急 without consent: the duty head approves with a reason, nobody else', async () => {
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, consent: false, priority: 'stat' });
    assert.equal((await w.doctor.takeAnswer(consult.task, 'submit')).status, 422);
    assert.equal((await w.doctor.takeAnswer(consult.task, 'approve-emergency', { reason: text('昏迷') })).status, 403);
    assert.equal((await w.duty.takeAnswer(consult.task, 'approve-emergency', {})).status, 422);
    await w.duty.take(consult.task, 'approve-emergency', { reason: text('患者昏迷，无法联系家属') });
    assert.equal(stateOf(await w.doctor.take(consult.task, 'submit')), 'submitted');
  });

  test('a routine request is not approved in an emergency way', async () => {
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, consent: false, priority: 'routine' });
    assert.equal((await w.duty.takeAnswer(consult.task, 'approve-emergency', { reason: text('忙') })).status, 422);
  });

  test('a return lists all gaps, the requester mends and submits again', async () => {
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization });
    await w.doctor.take(consult.task, 'submit');
    const returned = await w.coordinator.take(consult.task, 'return', { gap: [text('缺既往胸片'), text('缺血气分析')] });
    assert.equal(stateOf(returned), 'returned');
    const steps = await w.doctor.search('Provenance', { target: `Task/${consult.task}` });
    assert.ok(steps.some((p) => /缺既往胸片；缺血气分析/.test(p.reason?.[0]?.text ?? '')));
    const request = await w.doctor.read(`ServiceRequest/${consult.request}`);
    request.note[0].text += '血气分析：pH 7.41。';
    await w.doctor.update(request);
    assert.equal(stateOf(await w.doctor.take(consult.task, 'submit')), 'submitted');
    request.note[0].text = '改';
    assert.equal((await w.doctor.request('PUT', `/fhir/ServiceRequest/${consult.request}`, request)).status, 422, 'a submitted request is locked');
  });

  test('the state cannot be changed by PUT, nor begun elsewhere than in draft', async () => {
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization });
    const task = await w.doctor.read(`Task/${consult.task}`);
    task.businessStatus.coding[0].code = 'signed';
    const put = await w.doctor.request('PUT', `/fhir/Task/${consult.task}`, task);
    assert.ok([403, 422].includes(put.status), String(put.status));
    delete task.id;
    assert.ok([403, 422].includes((await w.doctor.request('POST', '/fhir/Task', task)).status));
    assert.equal(stateOf(await w.doctor.read(`Task/${consult.task}`)), 'draft');
  });
});

describe('allocation and invitation', () => {
  test('a decline needs a reason, closes the record and lets the coordinator offer again', async () => {
    const consult = await toAllocated();
    await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post) });
    assert.equal((await w.lead.request('GET', `/fhir/Patient/${w.patient.id}`)).status, 200);
    assert.equal((await w.lead.takeAnswer(consult.task, 'decline', {})).status, 422);
    const declined = await w.lead.take(consult.task, 'decline', { reason: text('当日手术') });
    assert.equal(stateOf(declined), 'allocated');
    assert.equal((await w.lead.request('GET', `/fhir/ServiceRequest/${consult.request}`)).status, 404);
    assert.equal(stateOf(await w.coordinator.take(consult.task, 'offer', { lead: reference(w.expert.post) })), 'offered');
    await w.coordinator.take(consult.task, 'cancel', { reason: text('测试结束') });
    assert.equal((await w.expert.request('GET', `/fhir/ServiceRequest/${consult.request}`)).status, 404, 'a cancelled consult closes the record');
  });

  test('an expert below the wanted title does not lead; who is no expert is not invited', async () => {
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization });
    const request = await w.doctor.read(`ServiceRequest/${consult.request}`);
    request.extension[0].valueCode = 'chief';
    await w.doctor.update(request);
    await w.doctor.take(consult.task, 'submit');
    await w.coordinator.take(consult.task, 'allocate');
    const low = await w.coordinator.takeAnswer(consult.task, 'offer', { lead: reference(w.expert.post) });
    assert.equal(low.status, 422);
    assert.match(issuesOf(low).join(), /职称/);
    const none = await w.coordinator.takeAnswer(consult.task, 'offer', { lead: reference(w.coordinator.post) });
    assert.equal(none.status, 422);
    const other = await w.coordinator.takeAnswer(consult.task, 'offer', { lead: reference(w.doctor.post) });
    assert.equal(other.status, 422);
  });

  test('$transitions says what this person may do and why not the rest', async () => {
    const consult = await toAllocated();
    const coordinators = await w.coordinator.transitions(consult.task);
    assert.equal(coordinators.find((t) => t.name === 'offer').allowed, true);
    const doctors = await w.doctor.transitions(consult.task);
    const offer = doctors.find((t) => t.name === 'offer');
    assert.equal(offer.allowed, false);
    assert.match(offer.reasons.join(), /受邀医院的会诊协调员/);
    assert.equal((await w.lead.request('GET', `/fhir/Task/${consult.task}/$transitions`)).status, 404);
  });

  test('a state that has moved: If-Match is 412, an unknown transition 422, an unknown input 400', async () => {
    const consult = await toAllocated();
    const stale = await w.coordinator.request('POST', `/fhir/Task/${consult.task}/$transition`,
      { resourceType: 'Parameters', parameter: [{ name: 'transition', valueCode: 'offer' }, { name: 'lead', valueReference: { reference: w.lead.post } }] }, { 'If-Match': 'W/"1"' });
    assert.equal(stale.status, 412);
    assert.equal((await w.coordinator.takeAnswer(consult.task, 'sign')).status, 422);
    assert.equal((await w.coordinator.takeAnswer(consult.task, 'offer', { lead: reference(w.lead.post), nonsense: text('x') })).status, 400);
  });
});

describe('session and opinions', () => {
  test('the session begins only with two different identifiers that match', async () => {
    const consult = await toAllocated();
    await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post) });
    await w.lead.take(consult.task, 'accept');
    await w.coordinator.take(consult.task, 'schedule', { start: time(new Date(Date.now() + 60e3).toISOString()) });
    for (const wrong of [[identity('name', patientFacts.name)], [identity('name', patientFacts.name), identity('name', patientFacts.name)],
      [identity('name', patientFacts.name), identity('birth-date', '1970-01-01')]]) {
      assert.equal((await w.lead.takeAnswer(consult.task, 'start', { identity: wrong })).status, 422);
    }
    const started = await w.lead.take(consult.task, 'start', { identity: readBack() });
    assert.equal(stateOf(started), 'in-session');
    const checks = await w.lead.search('Observation', { encounter: started.encounter.reference, code: 'identity-check' });
    assert.equal(checks.length, 1);
    assert.equal(checks[0].performer[0].reference, w.lead.post);
  });

  test('a draft is its author\'s alone on every way out; opinions open to who has signed', async () => {
    const c = await toSession();
    const secret = `磨玻璃影-${crypto.randomUUID()}`;
    const draft = await w.lead.create(opinionOf(w.lead, c.encounter, secret));
    const id = draft.id;
    const others = { expert: w.expert, doctor: w.doctor, coordinator: w.coordinator, radiologist: w.radiologist, commander: w.commander,
      duty: w.duty, admin: w.admins.helper, adminCounty: w.admins.county };
    const ways = [`/fhir/ClinicalImpression/${id}`, `/fhir/ClinicalImpression/${id}/_history`, `/fhir/ClinicalImpression/${id}/_history/1`,
      `/fhir/ClinicalImpression?_id=${id}`, `/fhir/ClinicalImpression?encounter=${c.encounter}`, '/fhir/ClinicalImpression', '/fhir/ClinicalImpression?_total=accurate&_count=50',
      '/fhir/ClinicalImpression/_history', '/fhir/_history', `/fhir/${c.encounter.split('/')[0]}?_id=${c.encounter.split('/')[1]}&_revinclude=ClinicalImpression:encounter`,
      `/fhir/Patient?_id=${w.patient.id}&_revinclude=ClinicalImpression:subject`, `/fhir/Patient?_has:ClinicalImpression:subject:_id=${id}`,
      `/fhir/Patient/${w.patient.id}/ClinicalImpression`, `/fhir/Task/${c.task}`, `/fhir/Task/${c.task}/_history`, `/fhir/Task/${c.task}/$transitions`, '/fhir/ClinicalImpression?_sort=-date'];
    let asked = 0;
    for (const [name, person] of Object.entries(others)) {
      for (const way of ways) {
        const answer = await person.request('GET', way);
        asked++;
        assert.ok(!answer.text.includes(secret), `${name} reads the draft at ${way}`);
        assert.ok(answer.status < 500, `${name} ${way} → ${answer.status}`);
        const isList = way.startsWith('/fhir/ClinicalImpression') && answer.json?.resourceType === 'Bundle';
        assert.ok(!isList || !JSON.stringify(answer.json.entry ?? []).includes(id), `${name} learns that the draft exists at ${way}`);
        const byHas = way.includes('_has') && answer.json?.entry?.length;
        assert.ok(!byHas, `${name} learns by _has that the draft exists`);
      }
      const bundle = await person.request('POST', '/fhir', { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `ClinicalImpression/${id}` } }] });
      assert.ok(!bundle.text.includes(secret), `${name} reads the draft in a batch`);
      const put = await person.request('PUT', `/fhir/ClinicalImpression/${id}`, { ...draft, summary: '改' });
      assert.ok([403, 404, 409, 412, 422].includes(put.status), `${name} PUT → ${put.status}`);
      const conditional = await person.request('POST', '/fhir/ClinicalImpression', opinionOf(person, c.encounter, 'x'), { 'If-None-Exist': `_id=${id}` });
      assert.ok(!conditional.text.includes(secret) && conditional.status !== 200, `${name} learns by If-None-Exist`);
    }
    console.log(`${asked} ways asked by ${Object.keys(others).length} people`);
    assert.equal((await w.lead.read(`ClinicalImpression/${id}`)).summary, secret, 'the author reads it');

    await w.lead.take(c.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${id}`), password: text(PASSWORD) });
    assert.equal((await w.expert.request('GET', `/fhir/ClinicalImpression/${id}`)).status, 404, 'no anchoring: signed, but the reader has not signed');
    const own = await w.expert.create(opinionOf(w.expert, c.encounter, '同意见'));
    const drafted = await w.expert.take(c.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${own.id}`), password: text(PASSWORD) });
    assert.equal(stateOf(drafted), 'drafted');
    assert.equal((await w.expert.read(`ClinicalImpression/${id}`)).summary, secret);
    assert.equal((await w.coordinator.request('GET', `/fhir/ClinicalImpression/${id}`)).status, 403, 'the coordinator never reads text');
    assert.equal((await w.doctor.request('GET', `/fhir/ClinicalImpression/${id}`)).status, 404, 'the county reads after delivery');
  });

  test('signing: own text only, right password, once; what is signed stands', async () => {
    const c = await toSession();
    const mine = await w.lead.create(opinionOf(w.lead, c.encounter, '意见'));
    const his = await w.expert.create(opinionOf(w.expert, c.encounter, '另一意见'));
    assert.equal((await w.lead.takeAnswer(c.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${his.id}`), password: text(PASSWORD) })).status, 422);
    assert.equal((await w.doctor.takeAnswer(c.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${mine.id}`), password: text(PASSWORD) })).status, 403);
    assert.equal((await w.commander.takeAnswer(c.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${mine.id}`), password: text(PASSWORD) })).status >= 403, true);
    const direct = await w.lead.request('PUT', `/fhir/ClinicalImpression/${mine.id}`, { ...mine, status: 'completed' });
    assert.equal(direct.status, 422, 'no signing by PUT');
    await w.lead.take(c.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${mine.id}`), password: text(PASSWORD) });
    const signed = await w.lead.read(`ClinicalImpression/${mine.id}`);
    assert.equal(signed.status, 'completed');
    const change = await w.lead.request('PUT', `/fhir/ClinicalImpression/${mine.id}`, { ...signed, summary: '改写' });
    assert.ok([403, 422].includes(change.status), String(change.status));
    assert.equal((await w.lead.read(`ClinicalImpression/${mine.id}`)).summary, '意见');
  });
});

describe('joint opinion, decision, closing', () => {
  test('dissent keeps its name, the document is frozen, the county decides, feedback closes', async () => {
    const c = await toSession();
    for (const [person, words] of [[w.lead, '病毒性肺炎'], [w.expert, '机化性肺炎可能']]) {
      const made = await person.create(opinionOf(person, c.encounter, words));
      await person.take(c.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${made.id}`), password: text(PASSWORD) });
    }
    assert.equal((await w.lead.takeAnswer(c.task, 'dissent', { text: text('x'), basis: text('y'), password: text(PASSWORD) })).status, 422);
    await w.expert.take(c.task, 'dissent', { text: text('仍不能除外机化性肺炎'), basis: text('病灶呈带状，沿支气管血管束分布'), password: text(PASSWORD) });
    const joint = await w.lead.create(jointOf(w.lead, c.encounter, '先按病毒性肺炎处理'));
    assert.equal((await w.expert.takeAnswer(c.task, 'sign', { composition: reference(`Composition/${joint.id}`), password: text(PASSWORD) })).status, 403, 'only the lead signs');
    const signed = await w.lead.take(c.task, 'sign', { composition: reference(`Composition/${joint.id}`), password: text(PASSWORD) });
    assert.equal(stateOf(signed), 'signed');
    const documentReference = signed.output.find((o) => o.type.coding[0].code === 'joint-opinion').valueReference.reference;
    assert.equal((await w.doctor.request('GET', `/fhir/${documentReference}`)).status, 404, 'not before delivery');
    await w.coordinator.take(c.task, 'deliver');
    const bundle = await w.doctor.read(documentReference);
    assert.equal(bundle.type, 'document');
    const composition = bundle.entry[0].resource;
    assert.equal(composition.status, 'final');
    const titles = composition.section.map((s) => s.title);
    assert.deepEqual(titles, ['一致意见', '专家意见', '专家意见', '保留意见']);
    const dissent = composition.section[3];
    assert.match(dissent.text.div, /仍不能除外机化性肺炎.*病灶呈带状/s);
    assert.equal(dissent.author[0].reference, w.expert.post);
    assert.equal(composition.attester.filter((a) => a.mode === 'professional').length, 2);
    assert.equal(bundle.signature.sigFormat, 'application/x-sm2-sm3');
    assert.ok(bundle.signature.extension[0].valueString.length > 4, 'the certificate number stands with the signature');
    assert.ok(bundle.entry.some((e) => e.resource.resourceType === 'Patient'));
    for (const person of [w.lead, w.doctor, w.admins.helper]) {
      const change = await person.request('PUT', `/fhir/${documentReference}`, { ...bundle, timestamp: '2020-01-01T00:00:00Z' });
      assert.ok([403, 404, 422].includes(change.status), String(change.status));
    }
    assert.equal((await w.doctor.takeAnswer(c.task, 'decide', { adoption: code('not-adopted'), plan: text('转院'), password: text(PASSWORD) })).status, 422, 'a reason is needed');
    assert.equal((await w.doctor.takeAnswer(c.task, 'decide', { adoption: code('adopted'), plan: text('按意见'), password: text('wrong-password-1') })).status < 500, true);
    const decided = await w.doctor.take(c.task, 'decide', { adoption: code('partly'), reason: text('本院无高流量设备'), plan: text('改药，转上级医院'), password: text(PASSWORD) });
    assert.equal(stateOf(decided), 'decided');
    assert.equal((await w.doctor.takeAnswer(c.task, 'feedback', { outcome: code('stable'), followed: code('partly'), 'final-diagnosis': text('肺炎') })).status, 422, 'day 7 or a reason');
    const closed = await w.doctor.take(c.task, 'feedback', { outcome: code('improved'), followed: code('yes'), 'final-diagnosis': text('病毒性肺炎'), 'early-reason': text('已出院') });
    assert.equal(stateOf(closed), 'closed');
    assert.equal((await w.expert.request('GET', `/fhir/Consent/${c.consent}`)).status, 404, 'the opened record closes');
    assert.equal((await w.expert.read(documentReference)).id, bundle.id, 'the signed document stays as the archive copy');
    const added = await w.expert.take(c.task, 'addendum', { text: text('建议 3 个月后复查'), password: text(PASSWORD) });
    assert.equal(added.output.filter((o) => o.type.coding[0].code === 'addendum').length, 1);
  });

  test('another hospital\'s patient is not there for anybody without a consult', async () => {
    const stranger = await createPatient(w.doctor, { id: 'P-2', national: '660243198001010028', name: '赵一', gender: 'female', birthDate: '1980-01-01' });
    for (const person of [w.lead, w.expert, w.coordinator, w.commander, w.admins.helper]) {
      assert.ok([403, 404].includes((await person.request('GET', `/fhir/Patient/${stranger.id}`)).status), person.name);
      assert.ok(!(await person.request('GET', '/fhir/Patient?name=赵一')).text.includes(stranger.id), person.name);
    }
    assert.equal((await fetch(`${w.base}/fhir/Patient/${stranger.id}`)).status, 401);
  });
});
