// An app of another asks a doctor: from the app to the sign-in, to the question in plain words, and back with a code for what
// was allowed; and an app opened from the consult room with its patient.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createPatient, draftConsult, PASSWORD, startServer } from '../../scenarios/world.mjs';
import { program } from '../api/support.mjs';
import { House, named, stepsOf, why } from './house.mjs';
import { eventually, Person } from './people.mjs';

describe('apps through the screens', { skip: why, timeout: 300_000 }, () => {
  const house = new House();
  const at = {};
  const step = stepsOf(it, at);
  const came = []; // addresses that the app was called at
  let listener;
  let app;
  let home;
  let patient;
  let task;

  before(async () => {
    await house.start();
    patient = await createPatient(house.world.doctor);
    task = (await draftConsult(house.world.doctor, { patient: patient.id, invited: house.world.coordinator.organization })).task;
    listener = createServer((request, response) => {
      if (!request.url.startsWith('/favicon')) came.push(new URL(request.url, home));
      response.end('<!doctype html><h1>随访助手</h1>');
    }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    home = `http://127.0.0.1:${listener.address().port}`;
    await house.server.stop();
    const data = join(house.folder, 'data');
    app = /client_id +(\S+)/.exec(execFileSync(program, ['app', 'add', '随访助手', '--redirect', `${home}/back`, '--launch', `${home}/launch`, '--data', data], { encoding: 'utf8' }))[1];
    house.server = await startServer(program, data, ['--port', '0', '--dicom-port', '-1']);
  });

  after(async () => {
    listener?.close();
    await house.stop();
  });

  const verifier = randomBytes(32).toString('base64url');
  const address = (scope, more = {}) => `${house.server.base}/auth/authorize?${new URLSearchParams({ client_id: app, redirect_uri: `${home}/back`, response_type: 'code', scope,
    state: 's1', aud: `${house.server.base}/fhir`, code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256', ...more })}`;
  const ours = (person) => person.faults.filter((fault) => !fault.includes(`foreign host asked: ${new URL(home).host}`));

  step('who is not signed in signs in first, and then reads what is asked for', async () => {
    const context = await house.browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'zh-CN', reducedMotion: 'reduce' });
    at.doctor = new Person('doctor', await context.newPage(), house.server.base);
    const { page } = at.doctor;
    await page.goto(address('openid fhirUser offline_access launch/patient user/Condition.rs user/Patient.rs user/Observation.crus?category=vital-signs patient/DiagnosticReport.rs user/Organization.d'));
    await page.fill('#name', named('doctor').account);
    await page.fill('#password', PASSWORD);
    await page.click('button[type=submit]');
    await at.doctor.sees('请求以您的岗位访问本系统');
    await at.doctor.reads('.allow-address', /127\.0\.0\.1/);
    await at.doctor.sees('当前岗位没有这项权限，不会授予');
    await at.doctor.sees('仅限：category=vital-signs');
    await eventually(async () => assert.equal(await page.locator('.allow-buttons .ant-btn-primary').isDisabled(), true, 'a patient is to be chosen'));
    await at.doctor.keep('70-allow');
    await page.setViewportSize({ width: 360, height: 740 });
    await at.doctor.keep('71-allow-phone');
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  step('what was not ticked is not granted; the app gets a code for the rest, with the patient', async () => {
    const { page } = at.doctor;
    await page.locator('.patient-picker').click();
    await page.locator('.ant-select-item-option').first().click();
    await page.locator('[data-scope="user/Condition.rs"] input').uncheck();
    await page.locator('.allow-buttons .ant-btn-primary').click();
    await page.waitForURL(`${home}/back?**`);
    const back = came.at(-1);
    assert.equal(back.searchParams.get('state'), 's1');
    const answer = await fetch(`${house.server.base}/auth/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'authorization_code', client_id: app,
      code: back.searchParams.get('code'), redirect_uri: `${home}/back`, code_verifier: verifier }) });
    const token = await answer.json();
    assert.equal(token.scope, 'openid fhirUser launch/patient offline_access user/Patient.rs user/Observation.crus?category=vital-signs patient/DiagnosticReport.rs');
    assert.equal(token.patient, patient.id);
  });

  step('a refusal goes back to the app too; an address that is not registered is told here and never gone to', async () => {
    const { page } = at.doctor;
    await page.goto(address('user/Patient.rs'));
    await at.doctor.press('拒绝');
    await page.waitForURL(`${home}/back?**`);
    assert.equal(came.at(-1).searchParams.get('error'), 'access_denied');
    const before = came.length;
    await page.goto(address('user/Patient.rs', { redirect_uri: `${home}/elsewhere` }));
    await at.doctor.sees('返回地址不是该应用登记的地址');
    assert.equal(came.length, before);
    at.doctor.faults = at.doctor.faults.filter((fault) => !fault.includes('/auth/consent')); // the refusal that was asked for
  });

  step('an app is opened from the consult room with its patient', async () => {
    const { page } = at.doctor;
    await page.goto(`${house.server.base}/consults/${task}`);
    await at.doctor.press('打开应用');
    const [opened] = await Promise.all([page.context().waitForEvent('page'), page.locator('.ant-dropdown-menu-item').filter({ hasText: '随访助手' }).click()]);
    await opened.waitForURL(`${home}/launch?**`);
    const launch = came.at(-1).searchParams;
    assert.equal(launch.get('iss'), `${house.server.base}/fhir`);
    await page.goto(address('launch patient/Patient.rs', { launch: launch.get('launch') }));
    await at.doctor.sees('王小东');
    await page.locator('.allow-buttons .ant-btn-primary').click();
    await page.waitForURL(`${home}/back?**`);
    assert.ok(came.at(-1).searchParams.get('code'));
    assert.deepEqual(ours(at.doctor), []);
  });
});
