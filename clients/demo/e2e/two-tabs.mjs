// node two-tabs.mjs <base-url> <out-dir>
//
// Alice and Bob in one new group: what each writes, edits and recalls the other sees; a tab that was away gets all it
// missed; what was written while away arrives once; a reload keeps history. Nothing here waits for time to pass, only
// for conditions.

import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const patience = 20_000; // ms until a condition that does not come true is a failure
const missed = 30; // messages sent while the other tab is away
const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

const [baseURL, outDir] = process.argv.slice(2);
if (!baseURL || !outDir) {
  console.error('usage: node two-tabs.mjs <base-url> <out-dir>');
  process.exit(2);
}
const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
try {
  accessSync(executablePath, constants.X_OK);
} catch {
  console.error(`no Chromium at ${executablePath}: install it, or name it in CHROMIUM`);
  process.exit(2);
}
mkdirSync(outDir, { recursive: true });

const browser = await chromium.launch({ executablePath, args: flags });
const run = Math.random().toString(36).slice(2, 8);
const group = `e2e-${run}`;
const complaints = []; // what the pages logged as errors
let passed = 0;
let failed = 0;

// Tab is one person's page.
class Tab {
  static async open(name, options) {
    const tab = new Tab();
    tab.name = name;
    tab.context = await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options });
    tab.page = await tab.context.newPage();
    tab.page.setDefaultTimeout(patience);
    tab.page.on('pageerror', (error) => complaints.push(`${name}: ${error.message}`));
    tab.page.on('console', (message) => {
      // A socket that cannot be opened while offline is what is being tested.
      if (message.type() === 'error' && !/WebSocket connection|ERR_INTERNET_DISCONNECTED/.test(message.text())) {
        complaints.push(`${name}: ${message.text()}`);
      }
    });
    return tab;
  }

  async signIn(hash = '') {
    await this.page.goto(new URL(`/${hash}`, baseURL).href);
    await this.page.fill('#name', this.name);
    await this.page.press('#name', 'Enter');
    await this.live();
  }

  // until waits for a function of the page to be true.
  until(condition, argument) {
    return this.page.waitForFunction(condition, argument, { polling: 50, timeout: patience });
  }

  live() {
    return this.until(() => document.querySelector('#state').dataset.state === 'live');
  }

  async write(text) {
    await this.page.fill('#text', text);
    await this.page.press('#text', 'Enter');
  }

  sees(text) {
    return this.until((wanted) => [...document.querySelectorAll('#messages .body')].some((body) => body.textContent === wanted), text);
  }

  nothingPending() {
    return this.until(() => document.querySelectorAll('#pending li').length === 0);
  }

  row(text) {
    return this.page.locator('#messages li', { hasText: text }).last();
  }

  bodies() {
    return this.page.$$eval('#messages .body', (bodies) => bodies.map((body) => body.textContent));
  }

  counters() {
    return this.page.evaluate(() => ({ ...window.throngDebug }));
  }

  // unbroken checks that v had no holes, and that nothing came twice.
  async unbroken() {
    const { holes, duplicates, delivered } = await this.counters();
    same({ holes, duplicates, delivered: delivered > 0 }, { holes: 0, duplicates: 0, delivered: true }, this.name);
    same(await this.page.locator('#alarm').isVisible(), false, `${this.name} has an alarm`);
  }

  shot(name) {
    return this.page.screenshot({ path: join(outDir, `${name}-${this.name}.png`) });
  }
}

async function step(name, does) {
  try {
    await does();
    passed++;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}\n        ${String(error.message).split('\n')[0]}`);
    for (const tab of [alice, bob]) await tab.shot(`failed-${failed}`).catch(() => {});
  }
}

function same(got, want, what) {
  if (JSON.stringify(got) !== JSON.stringify(want)) {
    throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
  }
}

const alice = await Tab.open(`alice-${run}`, { colorScheme: 'light' });
const bob = await Tab.open(`bob-${run}`, { colorScheme: 'dark' });

await step('Alice signs in and makes a group', async () => {
  await alice.signIn();
  await alice.page.fill('#group-name', group);
  await alice.page.click('#open-group button[value=create]');
  await alice.until((wanted) => location.hash === `#${wanted}/general`, group);
  await alice.until(() => document.querySelector('#top').textContent.includes('No messages yet'));
});

await step('Bob comes by a link and joins', async () => {
  await bob.signIn(`#${group}/general`);
  await bob.page.click('#prompt button');
  await bob.until(() => document.querySelector('#top').textContent.includes('No messages yet'));
});

await step('each sees what the other writes', async () => {
  await alice.write(`hello @${bob.name}`);
  await bob.sees(`hello @${bob.name}`);
  await bob.write('hello yourself');
  await alice.sees('hello yourself');
  await alice.nothingPending();
  await bob.nothingPending();
  same(await alice.bodies(), await bob.bodies(), 'the two tabs differ');
});

await step('a mention stands out for the one who is meant', async () => {
  await bob.page.waitForSelector('#messages li.mentioned .mention.me');
  same(await alice.page.locator('#messages li.mentioned').count(), 0, 'mentions that stand out for Alice');
});

await step('markup is shown, not obeyed', async () => {
  const text = '<img src=x onerror="document.title=1"><b>bold</b> & \u202e';
  await alice.write(text);
  await bob.sees(text);
  same(await bob.page.locator('#messages img, #messages b').count(), 0, 'elements made of a message');
});

await step('an action and several lines', async () => {
  await bob.write('/me waves');
  await alice.sees(`* ${bob.name} waves`);
  await bob.page.fill('#text', 'first line');
  await bob.page.press('#text', 'Shift+Enter');
  await bob.page.locator('#text').pressSequentially('second line');
  await bob.page.press('#text', 'Enter');
  await alice.sees('first line\nsecond line');
});

await step('an edit is seen in both tabs', async () => {
  await alice.write('this is wrnog');
  await bob.sees('this is wrnog');
  await alice.row('this is wrnog').hover();
  await alice.row('this is wrnog').locator('button.edit').click();
  await alice.page.press('#text', 'Escape');
  same(await alice.page.inputValue('#text'), '', 'the composer after Esc');
  await alice.page.press('#text', 'ArrowUp');
  await alice.write('this is right');
  for (const tab of [alice, bob]) await tab.sees('this is right (edited)');
  same((await bob.bodies()).filter((body) => body.includes('wrnog')), [], 'what is left of the old text');
});

await step('a recall is seen in both tabs', async () => {
  await bob.write('this was a secret');
  await alice.sees('this was a secret');
  await bob.row('this was a secret').hover();
  await bob.row('this was a secret').locator('button.recall').click();
  await bob.row('this was a secret').locator('button.recall').click();
  for (const tab of [alice, bob]) {
    await tab.sees('message recalled');
    same((await tab.bodies()).filter((body) => body.includes('secret')), [], 'what is left of the text');
  }
});

await step('the members are listed', async () => {
  await alice.page.click('#open-members');
  for (const tab of [alice, bob]) await alice.page.waitForSelector(`#member-list li:has-text("${tab.name}")`);
});
await alice.shot('1-chat');
await bob.shot('1-chat');
await alice.page.click('#close-members');

await step(`a tab that was away has all ${missed} messages afterwards`, async () => {
  await bob.context.setOffline(true);
  await bob.page.evaluate(() => window.throngDebug.disconnect());
  await bob.until(() => document.querySelector('#state').dataset.state === 'offline');
  for (let i = 1; i <= missed; i++) await alice.write(`while you were away ${i}`);
  await alice.nothingPending();
  await alice.sees(`while you were away ${missed}`);
  same((await bob.bodies()).filter((body) => body.startsWith('while')), [], 'what Bob has while he is away');
  await bob.shot('2-offline');
  await bob.context.setOffline(false);
  await bob.page.evaluate(() => window.throngDebug.reconnect());
  await bob.sees(`while you were away ${missed}`);
  const want = Array.from({ length: missed }, (_, i) => `while you were away ${i + 1}`);
  same((await bob.bodies()).filter((body) => body.startsWith('while')), want, 'what Bob missed');
  await bob.unbroken(); // before a reload clears the counters
});

await step('what is written while away arrives later, once, in order', async () => {
  await alice.page.evaluate(() => window.throngDebug.disconnect());
  for (const i of [1, 2, 3]) await alice.write(`written offline ${i}`);
  await alice.until(() => document.querySelectorAll('#pending li').length === 3);
  await alice.unbroken();
  // The tab keeps them over a reload, too.
  await alice.page.reload();
  await alice.live();
  await bob.sees('written offline 3');
  await alice.sees('written offline 3');
  await alice.nothingPending();
  for (const tab of [alice, bob]) {
    same((await tab.bodies()).filter((body) => body.startsWith('written')), [1, 2, 3].map((i) => `written offline ${i}`), `what ${tab.name} has`);
  }
});

await step('a reload keeps the history', async () => {
  const before = await bob.bodies();
  await bob.page.reload();
  await bob.live();
  await bob.sees('written offline 3');
  await bob.until((count) => document.querySelectorAll('#messages li').length >= count, before.length);
  same(await bob.bodies(), before, 'the messages after the reload');
  same(await alice.bodies(), before, "the other tab's messages");
});

await step('v had no holes, and nothing came twice', async () => {
  for (const tab of [alice, bob]) await tab.unbroken();
  const [a, b] = [await alice.counters(), await bob.counters()];
  same(a.lastV, b.lastV, 'how far the two tabs are');
});

await step('the pages had no errors', async () => same(complaints, [], 'errors'));

await alice.shot('3-end');
await bob.page.setViewportSize({ width: 390, height: 780 });
await bob.shot('3-narrow');
await bob.page.click('#open-sidebar');
await bob.shot('3-sidebar');
await browser.close();

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
