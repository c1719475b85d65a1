// The messages on the screen: a window of at most 500 onto the channel, live at its lower end, history at both.

import { actionText, make, nodes, tone } from './text.js';

const most = 500; // messages in the page
const page = 50; // messages of one history read
const near = 400; // pixels from an end at which the next page is read
const sticky = 60; // pixels from the bottom that still count as the bottom
const sameBreath = 5 * 60_000; // ms within which a second message of one user needs no name
const remembered = 1000; // edits and recalls kept for messages that are not on the screen

const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' });
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

const dayOf = (ts) => new Date(ts).toDateString();

export class MessageList {
  // parts: scroller, rows, top (a line above the rows), jump (a button). hooks: history(args), me(), mayRecall(message),
  // edit(message), recall(message).
  constructor(parts, hooks) {
    Object.assign(this, parts);
    this.hooks = hooks;
    this.epoch = 0;
    this.scroller.addEventListener('scroll', () => this.readMore(), { passive: true });
    new ResizeObserver(() => this.stuck && this.toBottom()).observe(this.scroller);
    this.jump.addEventListener('click', () => this.toLatest());
    this.reset();
  }

  reset() {
    this.epoch++; // what is being read for the old content is not wanted any more
    this.entries = []; // {message, row}, by n
    this.byNumber = new Map();
    this.changes = new Map(); // n -> the newest edit or recall seen, for a history answer that is older
    this.head = 0; // the newest n of the channel
    this.atStart = false; // the window holds the first message
    this.atEnd = true; // the window holds the newest one
    this.unseen = 0;
    this.reading = false;
    this.stuck = true; // the user looks at the bottom
    this.caughtUp = false; // head is known
    this.rows.replaceChildren();
    this.note('');
    this.showJump();
  }

  // apply takes events of the log in their order.
  apply(events) {
    const stuck = this.stuck;
    const fresh = [];
    for (const event of events) {
      this.head = Math.max(this.head, event.n ?? 0);
      if (event.kind === 'message') fresh.push(event);
      else if (event.kind === 'edit' || event.kind === 'recall') {
        this.remember(event);
        const queued = fresh.find(({ n }) => n === event.target);
        if (!queued) this.change(event);
      }
    }
    if (fresh.length > 0 && this.atEnd) {
      if (!stuck && this.entries.length + fresh.length > most) this.atEnd = false; // never take away what is being read
      else this.append(fresh, true);
    }
    if (!stuck || !this.atEnd) this.unseen += fresh.length;
    if (this.atEnd && stuck) this.toBottom();
    this.showJump();
    this.readMore();
  }

  // ready is called when the channel has caught up: n is its newest message.
  ready(n) {
    this.head = Math.max(this.head, n);
    this.caughtUp = true;
    if (this.entries.length === 0 && this.head > 0) this.toLatest();
    else this.readMore();
    this.note();
  }

  remember(event) {
    this.changes.delete(event.target);
    this.changes.set(event.target, event);
    if (this.changes.size > remembered) this.changes.delete(this.changes.keys().next().value);
  }

  change(event) {
    const entry = this.byNumber.get(event.target);
    if (!entry) return;
    const changed = amend(entry.message, event);
    entry.message = changed;
    this.fill(this.entries.indexOf(entry));
  }

  append(messages, live = false) {
    const fresh = this.take(messages);
    const first = this.entries.length;
    this.entries.push(...fresh);
    this.rows.append(...fresh.map(({ row }) => row));
    for (let i = first; i < this.entries.length; i++) this.fill(i);
    if (live) for (const { row } of fresh) row.classList.toggle('fresh', !row.classList.contains('mine')); // one's own are there already
    this.trim(this.entries.length - most, true);
  }

  prepend(messages) {
    const fresh = this.take(messages);
    const distance = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.entries.unshift(...fresh);
    this.rows.prepend(...fresh.map(({ row }) => row));
    for (let i = 0; i <= fresh.length && i < this.entries.length; i++) this.fill(i);
    this.scroller.scrollTop = this.scroller.scrollHeight - distance;
    this.trim(this.entries.length - most, false);
  }

  // take makes entries of the messages that are not there yet.
  take(messages) {
    const fresh = [];
    for (const message of messages) {
      if (this.byNumber.has(message.n)) continue;
      const change = this.changes.get(message.n);
      const entry = { message: change ? amend(message, change) : message, row: make('li') };
      this.byNumber.set(message.n, entry);
      fresh.push(entry);
    }
    return fresh;
  }

  trim(count, fromTop) {
    if (count <= 0) return;
    const bottom = this.scroller.scrollHeight - this.scroller.scrollTop;
    const gone = fromTop ? this.entries.splice(0, count) : this.entries.splice(-count);
    for (const { message, row } of gone) {
      row.remove();
      this.byNumber.delete(message.n);
    }
    if (fromTop) {
      this.atStart = false;
      this.fill(0);
      this.scroller.scrollTop = this.scroller.scrollHeight - bottom;
    } else {
      this.atEnd = false;
    }
  }

  // readMore reads the next page where the window nears an end.
  readMore() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    this.stuck = this.atEnd && below < sticky;
    if (this.stuck && this.unseen > 0) {
      this.unseen = 0;
      this.showJump();
    }
    if (this.reading || this.entries.length === 0) return;
    const first = this.entries[0].message.n;
    if (first <= 1) this.atStart = true;
    if (scrollTop < near && !this.atStart) this.read({ before: first });
    else if (below < near && !this.atEnd) this.read({ after: this.entries.at(-1).message.n });
    else this.note();
  }

  async read(where) {
    const epoch = this.epoch;
    this.reading = true;
    this.rows.setAttribute('aria-busy', 'true');
    this.note('Reading…');
    let failure = null;
    try {
      const { messages, more } = await this.hooks.history({ ...where, limit: page });
      if (epoch !== this.epoch) return;
      if (where.before !== undefined) {
        const stuck = this.stuck;
        if (!more || messages.length === 0) this.atStart = true;
        this.prepend(messages.toReversed());
        if (stuck) this.toBottom();
      } else {
        this.append(messages);
        this.atEnd = messages.length === 0 || this.entries.at(-1).message.n >= this.head;
      }
    } catch (error) {
      failure = error;
    }
    if (epoch !== this.epoch) return;
    this.reading = false;
    this.rows.removeAttribute('aria-busy');
    this.showJump();
    if (failure) this.note(`Could not read further: ${failure.message}.`, () => this.read(where));
    else this.readMore();
  }

  // toLatest shows the newest messages, wherever the window was.
  async toLatest() {
    if (!this.atEnd || (this.entries.length === 0 && this.head > 0)) {
      const { head, changes, caughtUp } = this;
      this.reset();
      Object.assign(this, { head, changes, caughtUp });
      await this.read({ before: head + 1 });
    }
    this.unseen = 0;
    this.toBottom();
    this.showJump();
  }

  toBottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.stuck = true;
  }

  showJump() {
    this.jump.hidden = this.atEnd && (this.unseen === 0 || this.stuck);
    this.jump.textContent = this.unseen > 0 ? `${this.unseen} new ↓` : 'Latest ↓';
  }

  // note says something above the rows; without a text, what the top of the window is.
  note(text, again) {
    if (text === undefined) {
      text = '';
      if (this.entries.length === 0) text = this.head === 0 && this.caughtUp ? 'No messages yet. Say hello.' : '';
      else if (this.atStart) text = 'This is where the channel begins.';
    }
    this.top.replaceChildren(text);
    if (again) this.top.append(' ', make('button', { type: 'button', className: 'link', onclick: again }, 'Try again'));
  }

  // lastOwn is the newest message of the user on the screen that can be edited.
  lastOwn() {
    return this.entries.findLast(({ message }) => message.user === this.hooks.me() && !message.recalled)?.message;
  }

  refill() {
    for (let i = 0; i < this.entries.length; i++) this.fill(i);
  }

  // fill draws row i, whose look depends on the message before it.
  fill(i) {
    const entry = this.entries[i];
    if (!entry) return;
    const { message, row } = entry;
    const before = this.entries[i - 1]?.message;
    // A recalled message may come without its time.
    const dated = this.entries.slice(0, i).findLast((other) => other.message.ts)?.message;
    const newDay = message.ts && (!dated || dayOf(dated.ts) !== dayOf(message.ts));
    const continued = !newDay && before?.user === message.user && message.type !== 'action' && before.type !== 'action' &&
      !message.recalled && !before.recalled && message.ts - before.ts < sameBreath;
    const mine = message.user === this.hooks.me();
    const mentioned = !mine && !message.recalled && (message.mention_all || message.mentions?.includes(this.hooks.me()));
    row.className = ['message', continued && 'continued', mine && 'mine', mentioned && 'mentioned', message.recalled && 'recalled',
      message.type === 'action' && 'action', row.classList.contains('fresh') && 'fresh'].filter(Boolean).join(' ');
    row.dataset.n = message.n;
    row.replaceChildren(...draw(message, { newDay, continued, me: this.hooks.me(), tools: this.tools(message, mine) }));
  }

  tools(message, mine) {
    if (message.recalled) return null;
    const tools = make('span', { className: 'tools' });
    const isText = !message.type || message.type === 'text' || message.type === 'action';
    if (mine && isText) {
      tools.append(make('button', { type: 'button', className: 'edit', onclick: () => this.hooks.edit(message) }, 'Edit'));
    }
    if (mine || this.hooks.mayRecall(message)) {
      const recall = make('button', { type: 'button', className: 'recall' }, 'Recall');
      recall.addEventListener('click', () => {
        if (recall.classList.contains('sure')) this.hooks.recall(message);
        recall.classList.toggle('sure');
        recall.textContent = recall.classList.contains('sure') ? 'Really recall?' : 'Recall';
      });
      recall.addEventListener('blur', () => {
        recall.classList.remove('sure');
        recall.textContent = 'Recall';
      });
      tools.append(recall);
    }
    return tools.childElementCount > 0 ? tools : null;
  }
}

// amend is the message after an edit or recall.
function amend(message, event) {
  if (event.kind === 'recall') return { ...message, recalled: true, body: undefined };
  if (message.recalled || message.edited_ts > event.ts) return message;
  return { ...message, body: event.body, edited_ts: event.ts, mentions: event.mentions ?? message.mentions };
}

// draw makes the content of a row; pending messages look the same but for their state.
export function draw(message, { newDay = false, continued = false, me, tools = null, state = null }) {
  const when = new Date(message.ts ?? 0);
  const day = newDay && message.ts
    ? make('div', { className: 'day', role: 'separator' }, make('span', {}, dayFormat.format(when))) : null;
  const time = message.ts
    ? make('time', { dateTime: when.toISOString(), title: fullFormat.format(when) }, timeFormat.format(when)) : null;
  const edited = message.edited_ts && !message.recalled
    ? make('span', { className: 'edited', title: fullFormat.format(new Date(message.edited_ts)) }, '(edited)') : null;
  const author = message.user ? make('span', { className: `author ${tone(message.user)}` }, message.user) : null;
  const body = make('div', { className: 'body', dir: 'auto' });
  const mentions = message.mentions ?? [];
  if (message.recalled) {
    body.append('message recalled');
  } else if (message.type === 'action') {
    body.append('* ', author ?? '', ' ', ...nodes(actionText(message.body), mentions, me));
  } else if (!message.type || message.type === 'text') {
    body.append(...nodes(String(message.body ?? ''), mentions, me));
  } else {
    const raw = typeof message.body === 'string' ? message.body : JSON.stringify(message.body);
    body.append(make('span', { className: 'type' }, message.type), ' ',
      make('code', {}, raw.length > 300 ? `${raw.slice(0, 300)}…` : raw));
  }
  if (edited) body.append(' ', edited);
  const head = make('div', { className: 'head' }, continued || message.type === 'action' ? null : author, time, state);
  return [day, make('div', { className: 'line' }, head, body, tools)].filter(Boolean);
}
