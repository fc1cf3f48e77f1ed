// `./run demo --once` is the first thing that anybody tries: it plays to its end, and its figures stand on records.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { phantomProgram, program, shared } from './support.mjs';

const play = (...options) => {
  const made = spawnSync('node', ['scenarios/demo.mjs', '--program', program, '--phantom', phantomProgram, '--once', ...options], { encoding: 'utf8' });
  assert.equal(made.status, 0, `${made.stdout}\n${made.stderr}`);
  return made.stdout;
};

test('the demo plays to its end by itself', () => {
  const out = play();
  for (const step of ['CT 由 C-STORE 送达', '影像检查归入患者：300 幅', '放射科医师审核同意测量结果']) assert.ok(out.includes(step), out);
  assert.match(out, /会诊申请数：1 例（依据 1 条记录）/);
  assert.match(out, /CT 定量测量数：1 例（依据 1 条记录）/);
});

const real = join(shared, 'data/ct/lidc-idri-0314');
test('the demo plays with a real CT', { skip: existsSync(real) ? false : 'left out: the real CT is not there' }, () => {
  assert.match(play('--ct', real), /CT 定量测量数：1 例（依据 1 条记录）/);
});
