// People at their screens: each has a browser context of their own, and everything that their console says is kept.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
const fromWeb = createRequire(path.join(root, 'web', 'package.json'));
const pictures = path.join(root, 'build', 'screens');

const FLAGS = ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--font-render-hinting=none',
  '--force-color-profile=srgb', '--hide-scrollbars'];
const WAIT_MS = Number(process.env.SHANHAI_WAIT_MS ?? 45_000);
const AXE = readFileSync(fromWeb.resolve('axe-core/axe.min.js'), 'utf8');
// Pictures for a person to look at are made when asked for, and of every screen of a failed step.
export const PICTURES = process.env.SHANHAI_PICTURES === '1';

/** A screen answers when it has asked: what is checked is looked at again until it holds, and fails with its last words. */
export async function eventually(check) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof assert.AssertionError) || Date.now() > end) throw error;
    }
    await delay(50);
  }
}

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

  /** As a link inside the screens goes: without loading them again. The page before stays on the screen until the new one stands. */
  async go(address) {
    await this.page.evaluate((to) => {
      const { dataset } = document.documentElement;
      if (new URL(to, location.href).href !== location.href) delete dataset.at;
      history.pushState(null, '', to);
      dispatchEvent(new PopStateEvent('popstate'));
    }, address);
    await this.page.waitForSelector('html[data-at]', { state: 'attached' });
    await this.page.waitForSelector('h1', { state: 'attached' });
  }

  /** Nothing on this page is still being asked for. */
  async settles() {
    await this.page.waitForFunction(() => !document.querySelector('.loading, [aria-busy=true], .ant-spin-spinning'));
  }

  /** The other language, until the words of the page have come. */
  async speak(language) {
    await this.press(language === 'en' ? 'English' : '中文');
    await this.page.waitForSelector(`html[lang^=${language}]`, { state: 'attached' });
  }

  /** How many there are of these, once there are that many. */
  async counts(locator, expected, why) {
    const found = typeof locator === 'string' ? this.page.locator(locator) : locator;
    await eventually(async () => assert.equal(await found.count(), expected, why));
  }

  /** The words of this element, once they fit. */
  async reads(locator, pattern, why) {
    const found = typeof locator === 'string' ? this.page.locator(locator) : locator;
    return eventually(async () => {
      const text = (await found.innerText()).replace(/\s+/g, ' ');
      assert.match(text, pattern, why);
      return text;
    });
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

  /** What a machine can see of a screen by axe, and a picture for a person where pictures are asked for. */
  async keep(name) {
    await this.page.evaluate(() => document.fonts.ready);
    if (PICTURES) await this.photograph(name);
    // The tool comes once for each page that is loaded.
    if (!(await this.page.evaluate(() => 'axe' in globalThis))) await this.page.evaluate(AXE);
    await eventually(async () => {
      const found = await this.page.evaluate(async () => {
        const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
        return violations
          .filter((violation) => ['serious', 'critical'].includes(violation.impact))
          .map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target.join(' ')).join(', ')}`);
      });
      assert.deepEqual(found, [], `axe on ${name}`);
    });
    await this.counts('h1', 1, `one h1 on ${name}`);
  }

  /** Nothing may run over the edge of a phone. */
  async fits() {
    await eventually(async () => {
      const wide = await this.page.evaluate(() => {
        // A drawer or dialog of its own layer is cut off instead of making the page wide.
        const layers = [...document.querySelectorAll('.ant-drawer-content-wrapper, .ant-drawer-body, .ant-modal, .menu, .nav-dialog[open]')].filter((one) => one.checkVisibility());
        const widths = layers.map((one) => Math.max(Math.round(one.getBoundingClientRect().width), one.scrollWidth));
        return { page: Math.max(document.documentElement.scrollWidth, ...widths), screen: window.innerWidth };
      });
      assert.ok(wide.page <= wide.screen, `${new URL(this.page.url()).pathname} is ${wide.page} px wide on ${wide.screen} px`);
    });
  }

  /** The whole of it stands on the screen from left to right. */
  async seesWhole(selector) {
    await eventually(async () => {
      const box = await this.page.locator(selector).first().boundingBox();
      const { width } = this.page.viewportSize();
      assert.ok(box && box.x >= 0 && box.x + box.width <= width + 1, `${selector} stands at ${box?.x} on ${width} px`);
    });
  }

  async photograph(name) {
    mkdirSync(pictures, { recursive: true });
    await this.page.screenshot({ path: path.join(pictures, `${name}.png`), animations: 'disabled' }).catch(() => undefined);
  }

  /** The slice in view is a picture: a black or a white canvas has not these grey levels. */
  async seesSlice(why = 'the slice is a picture') {
    await this.page.waitForSelector('.viewer-stage canvas:not(.is-loading)');
    await eventually(async () => {
      const levels = await this.page.locator('.viewer-stage canvas').first().evaluate((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const seen = new Set();
        for (let at = 0; at < data.length; at += 4) seen.add(data[at]);
        return seen.size;
      });
      assert.ok(levels > 10, `${why}: ${levels} grey levels`);
    });
  }

  /** A refusal that the walk has asked for is no fault of the screens. */
  async forgive(text) {
    // The console tells it beside the screen, sometimes after.
    await eventually(async () => {
      const at = this.faults.findIndex((fault) => fault.includes(text));
      assert.ok(at >= 0, `${this.name} was not refused: ${text}`);
      this.faults.splice(at, 1);
    });
  }

  async leave() {
    const { faults } = this;
    await this.page.context().close();
    assert.deepEqual(faults, [], `console of ${this.name}`);
  }
}
