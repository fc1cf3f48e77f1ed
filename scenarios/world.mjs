// A small invented world: a county hospital in 彭水, a helping hospital in 聊城, their people and posts, the pairing, a
// patient. Nobody in it exists: identity numbers begin with 66, telephones with 154.
import { spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { Person } from './client.mjs';

export const PASSWORD = 'shanhai-demo-2026';
const CODES = 'urn:shanhai:codes:';

export const people = [
  { key: 'doctor', hospital: 'county', account: 'limin', name: '李敏', role: 'county-doctor', title: 'attending', specialty: '呼吸内科', phone: '15400000001' },
  { key: 'duty', hospital: 'county', account: 'zhouning', name: '周宁', role: 'duty-head', title: 'associate-chief', specialty: '总值班', phone: '15400000002' },
  { key: 'radiologist', hospital: 'county', account: 'tanyue', name: '谭越', role: 'radiologist', title: 'attending', specialty: '放射科', phone: '15400000003' },
  { key: 'coordinator', hospital: 'helper', account: 'sunjie', name: '孙洁', role: 'consult-coordinator', title: 'attending', specialty: '远程医学中心', phone: '15400000011' },
  { key: 'lead', hospital: 'helper', account: 'zhaoqiang', name: '赵强', role: 'expert', title: 'chief', specialty: '呼吸与危重症医学科', phone: '15400000012' },
  { key: 'expert', hospital: 'helper', account: 'wanglan', name: '王岚', role: 'expert', title: 'associate-chief', specialty: '医学影像科', phone: '15400000013' },
  { key: 'commander', hospital: 'helper', account: 'chenwei', name: '陈伟', role: 'commander', title: 'chief', specialty: '前方指挥部', phone: '15400000014' },
];

export const hospitals = {
  county: { name: '彭水县示例医院', admin: 'admin-pengshui', adminName: '罗平', region: '500243' },
  helper: { name: '聊城市示例医院', admin: 'admin-liaocheng', adminName: '郑和', region: '371500' },
};

// Starts `shanhai serve` and waits for its "ready" line. Without a line a request unless `requests` asks for them.
export async function startServer(program, folder, options = [], { env = {}, requests = false } = {}) {
  const child = spawn(program, ['serve', '--data', folder, ...(requests ? [] : ['--quiet']), ...options],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let out = '';
  let log = '';
  child.stderr.on('data', (data) => (log = requests ? log + data : (log + data).slice(-20000)));
  const ended = once(child, 'exit');
  const ready = new Promise((resolve, reject) => {
    child.stdout.on('data', (data) => {
      out += data;
      const found = /ready (http:\S+) dicom (-?\d+)/.exec(out);
      if (found) resolve({ base: found[1], dicomPort: Number(found[2]) });
    });
    ended.then(([status]) => reject(new Error(`shanhai serve ended with ${status}: ${log}`)));
  });
  const server = await ready;
  return { ...server, child, log: () => log, stop: async () => (child.kill('SIGTERM'), (await ended)[0]) };
}

// First hospitals and administrators, with the folder closed. Gives {county: {organization, password …}, helper: …}.
export function initHospitals(program, folder, those = hospitals) {
  return Object.fromEntries(Object.entries(those).map(([key, h]) => {
    const out = execFileSync(program, ['init', '--data', folder, '--organization', h.name, '--account', h.admin, '--name', h.adminName]);
    return [key, JSON.parse(out)];
  }));
}

// The first administrator of a hospital, signed in with PASSWORD.
export async function signInAdmin(base, hospital, password) {
  const admin = await new Person(base, hospital.admin).signIn(password);
  if (password !== PASSWORD) await admin.changePassword(PASSWORD); // the demo names one password for everybody
  return admin;
}

// A new person with a post and an account there, signed in with PASSWORD.
export async function addSignedIn(admin, organization, person) {
  const { first } = await addPerson(admin, organization, person);
  const signedIn = await new Person(admin.base, person.account).signIn(first);
  await signedIn.changePassword(PASSWORD);
  return signedIn;
}

export async function addPerson(admin, organization, person) {
  const practitioner = await admin.create({
    resourceType: 'Practitioner', active: true, name: [{ text: person.name }],
    telecom: [{ system: 'phone', value: person.phone, use: 'work' }],
    qualification: [{ code: { text: '执业医师' }, period: { start: '2010-07-01' } }],
  });
  const post = await admin.create({
    resourceType: 'PractitionerRole', active: true, practitioner: { reference: `Practitioner/${practitioner.id}`, display: person.name },
    organization: { reference: organization.reference, display: organization.name },
    code: [{ coding: [{ system: `${CODES}role`, code: person.role }] }],
    specialty: [{ text: person.specialty }], telecom: [{ system: 'phone', value: person.phone }],
    period: { start: '2026-01-01' },
    extension: [{ url: 'urn:shanhai:ext:title', valueCode: person.title }],
  });
  const account = await admin.must('POST', '/admin/accounts', { name: person.account, practitioner: practitioner.id, password: `first-${PASSWORD}` });
  return { post, first: account.password ?? `first-${PASSWORD}` };
}

// Everybody, signed in, with PASSWORD. Gives {doctor, duty, …, admins}.
export async function peopleOf(base, made) {
  const world = { admins: {} };
  for (const [key, h] of Object.entries(hospitals)) {
    world.admins[key] = await signInAdmin(base, h, made[key].password);
  }
  for (const person of people) {
    const admin = world.admins[person.hospital];
    const organization = { reference: `Organization/${made[person.hospital].organization}`, name: hospitals[person.hospital].name };
    world[person.key] = await addSignedIn(admin, organization, person);
  }
  await world.admins.helper.create({
    resourceType: 'OrganizationAffiliation', active: true, period: { start: '2026-01-01' },
    organization: { reference: `Organization/${made.helper.organization}`, display: hospitals.helper.name },
    participatingOrganization: { reference: `Organization/${made.county.organization}`, display: hospitals.county.name },
    code: [{ coding: [{ system: `${CODES}pairing`, code: 'tertiary-county' }], text: '三级医院对口帮扶' }],
  });
  // Who is led says so: the helper's commander then sees the states of the county's consults.
  await world.admins.county.create({
    resourceType: 'OrganizationAffiliation', active: true, period: { start: '2026-01-01' },
    organization: { reference: `Organization/${made.helper.organization}`, display: hospitals.helper.name },
    participatingOrganization: { reference: `Organization/${made.county.organization}`, display: hospitals.county.name },
    code: [{ coding: [{ system: `${CODES}affiliation`, code: 'command' }], text: '前方指挥部' }],
  });
  return world;
}

export const patientFacts = { id: 'DEMO-0001', national: '660243196203080010', name: '王小东', gender: 'male', birthDate: '1962-03-08' };

export function createPatient(doctor, facts = patientFacts) {
  return doctor.create({
    resourceType: 'Patient', active: true, name: [{ text: facts.name }], gender: facts.gender, birthDate: facts.birthDate,
    identifier: [
      { system: 'urn:shanhai:id:national', value: facts.national },
      { system: 'urn:shanhai:id:inpatient', value: facts.id },
    ],
    telecom: [{ system: 'phone', value: '15400000099' }],
    managingOrganization: { reference: doctor.organization },
  });
}

const MACHINES = { consult: '远程会诊', 'remote-diagnosis': '远程诊断' };

// A consult (or, machine: 'remote-diagnosis', a diagnosis) in state draft: the three resources in one transaction. Gives their ids.
export async function draftConsult(doctor, { patient, invited, shared = [], priority = 'urgent', consent = true, leave = [], machine = 'consult', more = {} }) {
  const uuid = () => `urn:uuid:${crypto.randomUUID()}`;
  const request = uuid();
  const serviceRequest = {
    resourceType: 'ServiceRequest', status: 'draft', intent: 'order', priority,
    code: { coding: [{ system: `${CODES}consult-kind`, code: machine === 'consult' ? 'remote-consult' : machine, display: MACHINES[machine] }] },
    subject: { reference: `Patient/${patient}` }, requester: { reference: doctor.post },
    performer: [{ reference: invited }], performerType: { text: '呼吸与危重症医学科' },
    occurrenceDateTime: new Date(Date.now() + 3600e3).toISOString(),
    reasonCode: [{ text: '抗感染治疗 5 天，影像进展，原因不明' }],
    orderDetail: [{ text: '双肺多发病变的性质？下一步抗感染与氧疗方案？是否需要转诊？' }],
    note: [{ text: '男，64 岁。发热、咳嗽 7 天，活动后气促 2 天。体温 38.6 ℃，呼吸 24 次/分，血氧饱和度 93%（未吸氧）。' +
      '白细胞 4.1×10⁹/L，淋巴细胞 0.7×10⁹/L，C 反应蛋白 68 mg/L。既往高血压 10 年。现予莫西沙星 0.4 g 每日一次，鼻导管吸氧 3 L/min。' }],
    supportingInfo: shared.map((reference) => ({ reference })),
    extension: [{ url: 'urn:shanhai:ext:wanted-title', valueCode: 'associate-chief' }],
    ...more,
  };
  for (const member of leave) delete serviceRequest[member];
  if (!serviceRequest.supportingInfo?.length) delete serviceRequest.supportingInfo;
  const entries = [
    { fullUrl: request, resource: serviceRequest, request: { method: 'POST', url: 'ServiceRequest' } },
    {
      fullUrl: uuid(), request: { method: 'POST', url: 'Task' },
      resource: {
        resourceType: 'Task', status: 'draft', intent: 'order', code: { coding: [{ system: `${CODES}workflow`, code: machine, display: MACHINES[machine] }] },
        businessStatus: { coding: [{ system: `${CODES}${machine}-state`, code: 'draft', display: '草稿' }] },
        focus: { reference: request }, for: { reference: `Patient/${patient}` }, requester: { reference: doctor.post },
        authoredOn: new Date().toISOString(),
      },
    },
  ];
  if (consent) {
    entries.push({
      fullUrl: uuid(), request: { method: 'POST', url: 'Consent' },
      resource: {
        resourceType: 'Consent', status: 'active', scope: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'treatment' }] },
        category: [{ coding: [{ system: `${CODES}consent-kind`, code: 'remote-consult', display: '远程会诊知情同意' }] }],
        patient: { reference: `Patient/${patient}` }, dateTime: new Date().toISOString(), performer: [{ display: '患者本人' }],
        policyRule: { text: '远程会诊知情同意书' },
        sourceAttachment: { contentType: 'text/plain', title: '知情同意书', data: Buffer.from('同意远程会诊（示例）').toString('base64') },
        provision: { data: [{ meaning: 'related', reference: { reference: request } }] },
        extension: [{ url: 'urn:shanhai:ext:payer', valueCode: 'waived' }],
      },
    });
  }
  const answer = await doctor.must('POST', '/fhir', { resourceType: 'Bundle', type: 'transaction', entry: entries });
  const ids = Object.fromEntries(answer.entry.map((e) => e.response.location.split('/').slice(0, 2)));
  return { request: ids.ServiceRequest, task: ids.Task, consent: ids.Consent };
}
