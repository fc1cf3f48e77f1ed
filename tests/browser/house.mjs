// The server, the invented world and the browser of one test file, and steps that go on from the one before.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addSignedIn, hospitals, initHospitals, PASSWORD, people, peopleOf, startServer } from '../../scenarios/world.mjs';
import { stow } from '../api/support.mjs';
import { Person, root, startBrowser } from './people.mjs';

const program = process.env.SHANHAI_PROGRAM ?? join(root, 'build/release/src/shanhai');
const phantom = process.env.SHANHAI_PHANTOM ?? join(root, 'build/release/scenarios/shanhai-phantom');
const chromium = process.env.CHROMIUM ?? '/usr/bin/chromium';
const missing = [program, phantom, chromium, join(root, 'web/node_modules/playwright-core')].filter((path) => !existsSync(path));

/** Why the tests of the screens are left out here; false where everything is there. */
export const why = missing.length > 0 ? `left out: not there: ${missing.join(', ')}` : false;

export const named = (key) => people.find((person) => person.key === key);

export class House {
  async start() {
    this.folder = mkdtempSync(join(tmpdir(), 'shanhai-browser-'));
    const data = join(this.folder, 'data');
    this.made = initHospitals(program, data);
    this.server = await startServer(program, data, ['--port', '0', '--dicom-port', '-1']);
    this.world = await peopleOf(this.server.base, this.made);
    this.browser = await startBrowser();
  }

  async stop() {
    await this.browser?.close();
    await this.server?.stop();
    if (this.folder) rmSync(this.folder, { recursive: true, force: true });
  }

  /** One more person with a post, who signs in by the key. */
  async hire(person) {
    const organization = this.world[person.hospital === 'county' ? 'doctor' : 'lead'].organization;
    this.hired = { ...this.hired, [person.key]: person };
    this.world[person.key] = await addSignedIn(this.world.admins[person.hospital], { reference: organization, name: hospitals[person.hospital].name }, person);
  }

  signIn(key, options = {}) {
    const account = (this.hired?.[key] ?? named(key))?.account ?? hospitals[key].admin;
    return Person.signIn(this.browser, this.server.base, { account, password: PASSWORD, ...options });
  }

  /** Images of this folder sent by STOW-RS, as a program of the hospital sends them. */
  async send(person, folder) {
    const files = readdirSync(folder).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(folder, name)));
    const { status } = await stow(person, files);
    assert.equal(status, 200, `STOW-RS of ${files.length} images`);
  }

  /** A folder with a small CT of this person. */
  ct(name, ...options) {
    const folder = join(this.folder, name);
    execFileSync(phantom, ['--out', folder, '--size', '256', ...options], { stdio: 'ignore' });
    return folder;
  }
}

/** After a failed step the rest is left out, and the screens of all who are signed in are kept. */
export function stepsOf(it, at) {
  let broken = false;
  return (name, run) =>
    it(name, async (test) => {
      if (broken) return test.skip('a step before has failed');
      try {
        await run();
      } catch (error) {
        broken = true;
        for (const [key, person] of Object.entries(at)) await person.photograph(`failed-${key}`);
        throw error;
      }
    });
}
