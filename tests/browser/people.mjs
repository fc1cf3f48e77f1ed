// People at their screens: each has a browser context of their own, and everything that their console says is kept.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
const fromWeb = createRequire(path.join(root, 'web', 'package.json'));
const pictures = path.join(root, 'build', 'screens');

const FLAGS = ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--font-render-hinting=none',
  '--force-color-profile=srgb', '--hide-scrollbars'];
const WAIT_MS = Number(process.env.SHANHAI_WAIT_MS ?? 45_000);

export async function startBrowser() {
  const { chromium } = fromWeb('playwright-core');
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
}

export class Person {
  constructor(name, page, base) {
    Object.assign(this, { name, page, base, faults: [] });
    page.setDefaultTimeout(WAIT_MS);
    page.on('console', (message) => message.type() === 'error' && this.faults.push(`${message.text()} ${message.location().url}`));
    page.on('pageerror', (error) => this.faults.push(`page error: ${error.message}`));
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol.startsWith('http') && host !== new URL(base).host) this.faults.push(`foreign host asked: ${host}`);
    });
  }

  static async signIn(browser, base, { account, password, name, width = 1440, height = 900, permissions = [] }) {
    const context = await browser.newContext({ viewport: { width, height }, locale: 'zh-CN', timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce', permissions });
    const person = new Person(name ?? account, await context.newPage(), base);
    await person.page.goto(`${base}/consults`);
    await person.page.fill('#name', account);
    await person.page.fill('#password', password);
    await person.page.click('button[type=submit]');
    await person.page.waitForSelector('.shell-head');
    return person;
  }

  async open(address) {
    await this.page.goto(this.base + address);
    await this.page.waitForSelector('h1', { state: 'attached' });
  }

  /** As a link inside the screens goes: without loading them again. */
  async go(address) {
    await this.page.evaluate((to) => {
      history.pushState(null, '', to);
      dispatchEvent(new PopStateEvent('popstate'));
    }, address);
    await this.page.waitForSelector('h1', { state: 'attached' });
  }

  /** A button by its words, the one that can be pressed. */
  async press(text, within = 'body') {
    await this.page.locator(`${within} button:not([disabled])`).filter({ hasText: text }).first().click();
  }

  /** A step of a card or a list, where several may offer the same. */
  async takeIn(within, transition) {
    await within.locator(`button[data-transition="${transition}"]:not([disabled])`).first().click();
  }

  /** Fills the open dialog by the names of its fields. */
  async fill(fields) {
    for (const [name, text] of Object.entries(fields)) await this.page.locator(`.ant-modal:visible #${name}`).fill(text);
  }

  async take(transition) {
    await this.page.locator(`button[data-transition="${transition}"]:not([disabled])`).first().click();
  }

  /** The button at the foot of the open dialog. */
  async confirm() {
    await this.page.locator('.ant-modal:visible .ant-modal-footer .ant-btn-primary').click();
    await this.page.locator('.ant-modal:visible').waitFor({ state: 'hidden' });
  }

  /** An option of the select with this id. */
  async choose(field, text) {
    await this.page.locator(`#${field}`).click();
    const list = this.page.locator(`.ant-select-dropdown:has([id="${field}_list"])`);
    await list.locator('.ant-select-item-option').filter({ hasText: text }).first().click();
    // A click beside closes a list of several.
    await this.page.locator('h1, .ant-modal-title:visible').last().click();
    await list.waitFor({ state: 'hidden' });
  }

  async paste(field, text) {
    await this.page.locator(field).evaluate((element, content) => {
      const data = new DataTransfer();
      data.setData('text', content);
      element.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    }, text);
  }

  async sees(text) {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor();
  }

  async hasState(text) {
    await this.page.locator('.badge').filter({ hasText: text }).first().waitFor();
  }

  /** A picture for a person to look at, and axe for what a machine can see. */
  async keep(name) {
    mkdirSync(pictures, { recursive: true });
    await this.page.evaluate(() => document.fonts.ready);
    await this.page.screenshot({ path: path.join(pictures, `${name}.png`), animations: 'disabled' });
    await this.page.evaluate(readFileSync(fromWeb.resolve('axe-core/axe.min.js'), 'utf8'));
    const found = await this.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
      return violations
        .filter((violation) => ['serious', 'critical'].includes(violation.impact))
        .map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target.join(' ')).join(', ')}`);
    });
    assert.deepEqual(found, [], `axe on ${name}`);
    assert.equal(await this.page.locator('h1').count(), 1, `one h1 on ${name}`);
  }

  /** Nothing may run over the edge of a phone. */
  async fits() {
    const wide = await this.page.evaluate(() => ({ page: document.documentElement.scrollWidth, screen: window.innerWidth }));
    assert.ok(wide.page <= wide.screen, `${new URL(this.page.url()).pathname} is ${wide.page} px wide on ${wide.screen} px`);
  }

  async photograph(name) {
    mkdirSync(pictures, { recursive: true });
    await this.page.screenshot({ path: path.join(pictures, `${name}.png`) }).catch(() => undefined);
  }

  /** Different grey levels of the slice in view: a black or a white canvas is no picture. */
  async greyLevels() {
    await this.page.waitForSelector('.viewer-stage canvas:not(.is-loading)');
    return this.page.locator('.viewer-stage canvas').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const levels = new Set();
      for (let at = 0; at < data.length; at += 4) levels.add(data[at]);
      return levels.size;
    });
  }

  /** A refusal that the walk has asked for is no fault of the screens. */
  forgive(text) {
    const at = this.faults.findIndex((fault) => fault.includes(text));
    assert.ok(at >= 0, `${this.name} was not refused: ${text}`);
    this.faults.splice(at, 1);
  }

  async leave() {
    const { faults } = this;
    await this.page.context().close();
    assert.deepEqual(faults, [], `console of ${this.name}`);
  }
}
