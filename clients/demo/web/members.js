// The panel of a group's members, read page by page, and who is known to be one.

import { make, tone } from './text.js';

const page = 50;

export class Members {
  // parts: panel, rows, count, note, more. hooks: request(args), me().
  constructor(parts, hooks) {
    Object.assign(this, parts);
    this.hooks = hooks;
    this.group = '';
    this.after = undefined;
    this.names = new Set();
  }

  // know reads the first members, so that mentions of them are recognized before the panel is opened.
  async know(group) {
    if (this.group === group) return;
    this.group = group;
    this.names = new Set();
    try {
      const { members } = await this.hooks.request({ group, limit: 200 });
      if (group === this.group) for (const { user } of members ?? []) this.names.add(user);
    } catch {
      if (group === this.group) this.group = '';
    }
  }

  // met takes note of somebody who wrote.
  met(user) {
    this.names.add(user);
  }

  knows(user) {
    return this.names.has(user);
  }

  open(group) {
    this.panel.hidden = false;
    this.group = group;
    this.after = undefined;
    this.rows.replaceChildren();
    this.count.textContent = '';
    this.readMore();
  }

  close() {
    this.panel.hidden = true;
  }

  async readMore() {
    const { group } = this;
    this.more.hidden = true;
    this.note.textContent = 'Reading…';
    try {
      const answer = await this.hooks.request({ group, after: this.after, limit: page });
      if (group !== this.group) return;
      this.after = answer.after;
      if (answer.count !== undefined) this.count.textContent = answer.count.toLocaleString();
      this.rows.append(...(answer.members ?? []).map((member) => this.draw(member)));
      this.more.hidden = !answer.after;
      this.note.textContent = '';
    } catch (error) {
      if (group !== this.group) return;
      this.note.textContent = `Could not read the members: ${error.message}.`;
      this.more.hidden = false;
    }
  }

  draw({ user, role, online, muted_until: muted }) {
    this.names.add(user);
    const row = make('li', {}, make('span', { className: `author ${tone(user)}` }, user));
    if (user === this.hooks.me()) row.append(make('span', { className: 'tag' }, 'you'));
    if (role && role !== 'member') row.append(make('span', { className: 'tag' }, role));
    if (muted > Date.now()) row.append(make('span', { className: 'tag' }, 'muted'));
    if (online !== undefined) row.classList.add(online ? 'online' : 'away');
    return row;
  }
}
