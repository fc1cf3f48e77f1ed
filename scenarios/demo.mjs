// ./run demo: a consult from the county's CT to the day's report, played over the public interfaces by its people.
//   --ct DIR   a real chest CT instead of the phantom     --once   end with status 0 when it is done
//   --port N   of the screens (8080)                      --folder DIR   keep the data there
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { code, identity, reference, stateOf, text, time } from './client.mjs';
import { createPatient, draftConsult, hospitals, initHospitals, PASSWORD, patientFacts, people, peopleOf, startServer } from './world.mjs';

const { values: options } = parseArgs({ options: {
  program: { type: 'string' }, phantom: { type: 'string' }, ct: { type: 'string' }, once: { type: 'boolean' },
  port: { type: 'string', default: '8080' }, 'dicom-port': { type: 'string', default: '11112' }, folder: { type: 'string' },
} });

const started = Date.now();
let last = started;
function say(line) {
  const now = Date.now();
  console.log(`${((now - started) / 1000).toFixed(1).padStart(6)} s  ${`+${((now - last) / 1000).toFixed(2)}`.padStart(7)}  ${line}`);
  last = now;
}

async function waitFor(what, look, seconds = 120) {
  for (const until = Date.now() + seconds * 1000; Date.now() < until;) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`waited ${seconds} s in vain: ${what}`);
}

function sendCt(folder, port) {
  // A sender as hospitals have it, with its default settings; -xt offers JPEG-LS.
  const compressed = options.ct !== undefined;
  execFileSync('storescu', ['-aet', 'CT01', ...(compressed ? ['-xt'] : []), '+sd', '+r', '127.0.0.1', String(port), folder], { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function play(server, folder) {
  const phantom = join(folder, 'phantom');
  const made = JSON.parse(process.env.SHANHAI_DEMO_MADE);
  const world = await peopleOf(server.base, made);
  const { doctor, radiologist, coordinator, lead, expert, commander } = world;
  say(`两院、${people.length} 名人员、岗位与结对关系已登记`);
  const patient = await createPatient(doctor);
  say('县医院登记患者');

  const ct = options.ct ?? phantom;
  if (!options.ct) {
    execFileSync(options.phantom, ['--out', phantom, '--slices', '300', '--patient-name', patientFacts.name, '--patient-id', patientFacts.id, '--sex', 'M', '--birth', patientFacts.birthDate.replaceAll('-', '')]);
    say('体模 CT 已生成（300 层）');
  }
  sendCt(ct, server.dicomPort);
  say('CT 由 C-STORE 送达');
  const study = await waitFor('ImagingStudy', async () => {
    const held = await doctor.request('GET', '/studies/held');
    for (const waiting of held.json ?? []) {
      await doctor.must('POST', `/studies/held/${waiting.study}/match`, { patient: `Patient/${patient.id}`, confirmed: true });
      say(`影像身份不符（${waiting.reason}），由医师人工匹配`);
    }
    return (await doctor.search('ImagingStudy', { patient: `Patient/${patient.id}` }))[0];
  });
  say(`影像检查归入患者：${study.numberOfInstances} 幅`);
  const measurement = await waitFor('measurement', async () => {
    const task = (await radiologist.search('Task', { code: 'urn:shanhai:codes:workflow|ct-measurement', patient: `Patient/${patient.id}` }))[0];
    return task && !['queued', 'running'].includes(stateOf(task)) ? task : undefined;
  });
  const report = await radiologist.read(measurement.focus.reference);
  say(`定量测量：${stateOf(measurement)}。${(report.conclusion ?? '').split('\n')[0]}`);
  const shared = [`ImagingStudy/${study.id}`];
  if (stateOf(measurement) === 'done') {
    await radiologist.take(measurement.id, 'agree');
    shared.push(`DiagnosticReport/${report.id}`, ...(report.result ?? []).map((r) => r.reference));
    say('放射科医师审核同意测量结果');
  }

  const consult = await draftConsult(doctor, { patient: patient.id, invited: coordinator.organization, shared });
  const task = consult.task;
  say('会诊申请单与知情同意书');
  await doctor.take(task, 'submit');
  say('提交');
  await coordinator.take(task, 'judge-images', { study: reference(`ImagingStudy/${study.id}`), verdict: code('acceptable') });
  await coordinator.take(task, 'allocate');
  await coordinator.take(task, 'offer', { lead: reference(lead.post), expert: reference(expert.post) });
  say('影像合格，受理，邀请两位专家');
  await lead.take(task, 'accept');
  await expert.take(task, 'accept');
  await coordinator.take(task, 'schedule', { start: time(new Date(Date.now() + 60e3).toISOString()) });
  await lead.take(task, 'start', { identity: [identity('name', patientFacts.name), identity('birth-date', patientFacts.birthDate)] });
  say('接受、预约、核对身份，会诊开始');
  const current = await lead.read(`Task/${task}`);
  const encounter = current.encounter.reference;
  await doctor.create({ resourceType: 'Communication', status: 'completed', encounter: { reference: encounter }, subject: { reference: `Patient/${patient.id}` },
    sender: { reference: doctor.post }, sent: new Date().toISOString(), payload: [{ contentString: '右下肺病灶较 3 天前增大，请各位看第 180 层。' }] });
  await lead.create({ resourceType: 'Communication', status: 'completed', encounter: { reference: encounter }, subject: { reference: `Patient/${patient.id}` },
    sender: { reference: lead.post }, sent: new Date().toISOString(), payload: [{ contentString: '看到了，支持病毒性肺炎合并细菌感染的可能。' }] });
  for (const [person, impression, basis, advice] of [
    [lead, '双肺多发磨玻璃影伴实变，考虑病毒性肺炎，右下肺合并细菌感染可能', '病程 7 天，淋巴细胞减低，CT 呈双肺外带分布磨玻璃影，右下肺实变', '改用哌拉西林他唑巴坦 4.5 g 每 8 小时一次，经鼻高流量氧疗，48 小时复查 CT'],
    [expert, '双肺磨玻璃影与实变并存，以胸膜下分布为主，符合病毒性肺炎进展期', '定量测量与阅片一致，未见空洞及胸腔积液', '建议同层厚复查对比'],
  ]) {
    const opinion = await person.create({ resourceType: 'ClinicalImpression', status: 'in-progress', code: { coding: [{ system: 'urn:shanhai:codes:opinion-kind', code: 'opinion' }] },
      subject: { reference: `Patient/${patient.id}` }, encounter: { reference: encounter }, assessor: { reference: person.post }, date: new Date().toISOString(),
      summary: impression, finding: [{ itemCodeableConcept: { text: impression }, basis }], note: [{ extension: [{ url: 'urn:shanhai:ext:note-kind', valueCode: 'advice' }], text: advice }] });
    await person.take(task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${opinion.id}`), password: text(PASSWORD) });
  }
  say('两位专家各自签署意见');
  const joint = await lead.create({ resourceType: 'Composition', status: 'preliminary', type: { coding: [{ system: 'urn:shanhai:codes:document', code: 'joint-opinion', display: '联合意见' }] },
    subject: { reference: `Patient/${patient.id}` }, encounter: { reference: encounter }, date: new Date().toISOString(), author: [{ reference: lead.post }], title: '远程会诊意见报告',
    section: [{ title: '一致意见', code: { coding: [{ system: 'urn:shanhai:codes:section', code: 'consensus' }] },
      text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml"><p>病毒性肺炎进展期，右下肺合并细菌感染可能。升级抗感染治疗，经鼻高流量氧疗，48 小时复查；血氧不改善即转诊。</p></div>' } }] });
  await lead.take(task, 'sign', { composition: reference(`Composition/${joint.id}`), password: text(PASSWORD) });
  await lead.take(task, 'deliver');
  say('主持人签署联合意见，送达县医院');
  await doctor.take(task, 'decide', { adoption: code('adopted'), plan: text('按会诊意见调整抗感染方案，转入呼吸监护，48 小时复查胸部 CT。'), password: text(PASSWORD) });
  say('经治医师：采纳，确定诊疗方案并签名');
  await doctor.take(task, 'feedback', { outcome: code('improved'), followed: code('yes'), 'final-diagnosis': text('病毒性肺炎'), 'early-reason': text('演示：患者提前好转出院') });
  say('反馈，归档');

  const day = new Date(Date.now() + 8 * 3600e3).toISOString().slice(0, 10);
  const figures = await commander.must('GET', `/indicators?date=${day}`);
  console.log(`\n今日（截至 ${figures.asOf.slice(0, 16).replace('T', ' ')}）`);
  for (const figure of figures.indicators) {
    const value = figure.value == null ? '—' : figure.unit?.zh === '分钟' ? figure.value.toFixed(1) : figure.value;
    console.log(`  ${figure.name.zh}：${value} ${figure.unit?.zh ?? ''}（依据 ${figure.counted} 条记录）`);
  }
}

const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'shanhai-demo-'));
if (options.folder && existsSync(join(folder, 'data'))) {
  console.error(`${folder} has data already: choose another --folder`);
  process.exit(2);
}
const data = join(folder, 'data');
const made = initHospitals(options.program, data);
process.env.SHANHAI_DEMO_MADE = JSON.stringify(made);
say(`${hospitals.county.name}与${hospitals.helper.name}已建立`);
const server = await startServer(options.program, data, ['--port', options.once ? '0' : options.port, '--dicom-port', options.once ? '0' : options['dicom-port'],
  '--dicom-peer', `*@127.0.0.1=Organization/${made.county.organization}`]);
say(`服务已启动：${server.base}`);
let status = 0;
try {
  await play(server, folder);
} catch (error) {
  console.error(`\n${error.message}\n${server.log()}`);
  status = 1;
}
if (options.once || status !== 0) {
  await server.stop();
  if (!options.folder) rmSync(folder, { recursive: true, force: true });
  process.exit(status);
}
console.log(`\n打开 ${server.base}\n  密码都是 ${PASSWORD}`);
for (const person of people) console.log(`  ${person.account.padEnd(18)} ${person.name} ${person.specialty}（${hospitals[person.hospital].name}）`);
for (const h of Object.values(hospitals)) console.log(`  ${h.admin.padEnd(18)} ${h.adminName} 系统管理员（${h.name}）`);
console.log('\nCtrl-C 结束');
process.on('SIGINT', async () => { await server.stop(); process.exit(0); });
