// The list of groups: the server's own where it answers sync, else one kept in this browser.

import { make } from './text.js';

const refreshPause = 1000; // ms between two reads of a list that changes
const offers = [
  { group: 'lobby', name: 'Lobby', create: true, about: 'where everybody meets' },
  { group: 'ubuntu', name: 'ubuntu', create: false, about: 'imported chat logs' },
];

// channelsOf lists the ordinary channels of a group's description.
function channelsOf(info) {
  return (info.channels ?? [])
    .map((channel) => (typeof channel === 'string' ? { channel } : channel))
    .filter(({ channel }) => channel && channel[0] !== '@');
}

export class Groups {
  // hooks: request(command, args), go(group, channel), enter(group, create).
  constructor(me, { box, offers: offerBox }, hooks) {
    this.box = box;
    this.offerBox = offerBox;
    this.hooks = hooks;
    this.storageKey = `throng.groups.${me}`;
    this.synced = false; // the server keeps the list
    this.token = undefined; // of the last sync
    this.selected = '';
    this.reads = new Map(); // "group/channel" -> the n last sent as read
    this.timer = 0;
    this.known = new Map(); // group -> {group, name, channels}
    try {
      for (const entry of JSON.parse(localStorage.getItem(this.storageKey)) ?? []) this.known.set(entry.group, entry);
    } catch (error) {
      console.warn('the stored list of groups is not readable:', error);
    }
    this.draw();
  }

  // refresh reads the list from the server if it has one.
  async refresh() {
    let more = true;
    try {
      while (more) {
        const answer = await this.hooks.request('sync', { token: this.token, follow: true });
        if (!this.synced) this.known.clear(); // from now on the server says which groups there are
        this.synced = true;
        for (const conversation of answer.conversations ?? []) {
          this.known.set(conversation.group, {
            group: conversation.group, name: conversation.name || conversation.group, channels: channelsOf(conversation),
          });
        }
        for (const group of answer.left ?? []) this.known.delete(group);
        this.token = answer.token;
        more = answer.more === true;
      }
    } catch (error) {
      if (!this.synced && error.code !== 'disconnected') console.info('no list of conversations from the server:', error.message);
    }
    this.draw();
  }

  // changed is called when the server says that the list is another one now.
  changed() {
    if (!this.synced || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.refresh();
    }, refreshPause);
  }

  // info describes a group: {name, role, channels}, of which the list keeps name and channels.
  async info(group) {
    const answer = await this.hooks.request('group', { group });
    const info = { name: answer.name || group, role: answer.role, channels: channelsOf(answer) };
    const before = this.known.get(group);
    if (!this.synced || !before) this.keep({ group, name: info.name, channels: info.channels });
    return info;
  }

  // enter joins, making the group first if asked to, and returns a channel of it to open.
  async enter(group, create) {
    const { request } = this.hooks;
    let made = false;
    if (create) {
      try {
        await request('create_group', { group, kind: 'community', name: group === 'lobby' ? 'Lobby' : group });
        made = true;
      } catch (error) {
        if (error.code !== 'conflict') throw error;
      }
    }
    if (!made) await request('join', { group });
    let info = await this.info(group);
    if (info.channels.length === 0 && (info.role === 'owner' || made)) {
      // Also where whoever made the group did not get this far.
      try {
        await request('create_channel', { group, channel: 'general', kind: 'public', name: 'general' });
      } catch (error) {
        if (error.code !== 'conflict') throw error;
      }
      info = await this.info(group);
      if (info.channels.length === 0) info.channels = [{ channel: 'general' }];
    }
    this.keep({ group, name: info.name, channels: info.channels });
    return info.channels[0]?.channel;
  }

  async leave(group) {
    await this.hooks.request('leave', { group });
    this.known.delete(group);
    this.store();
  }

  // read tells the server what has been seen, where it keeps cursors.
  read(group, channel, n) {
    const key = `${group}/${channel}`;
    if (!this.synced || n < 1 || this.reads.get(key) >= n) return;
    this.reads.set(key, n);
    this.hooks.request('read', { group, channel, n }).catch(() => this.reads.delete(key));
    const entry = this.known.get(group)?.channels.find((other) => other.channel === channel);
    if (entry?.unread) {
      entry.unread = 0;
      entry.mentions = 0;
      this.draw();
    }
  }

  select(group, channel) {
    this.selected = `${group}/${channel}`;
    this.draw();
  }

  keep(entry) {
    this.known.set(entry.group, entry);
    this.store();
  }

  store() {
    localStorage.setItem(this.storageKey, JSON.stringify([...this.known.values()]));
    this.draw();
  }

  draw() {
    const groups = [...this.known.values()].sort((a, b) => a.name.localeCompare(b.name));
    this.box.replaceChildren(...groups.map(({ group, name, channels }) => make('section', { className: 'group' },
      make('h2', {}, name),
      make('ul', {}, ...(channels.length > 0 ? channels : [{ channel: '' }]).map((entry) => this.drawChannel(group, entry))))));
    const open = offers.filter((offer) => !this.known.has(offer.group));
    this.offerBox.hidden = open.length === 0;
    this.offerBox.replaceChildren(make('h2', {}, 'Suggestions'), ...open.map(({ group, name, create, about }) =>
      make('button', { type: 'button', className: 'offer', 'data-group': group, onclick: () => this.hooks.enter(group, create) },
        make('strong', {}, name), make('span', {}, about))));
  }

  drawChannel(group, { channel, name, unread, unread_exact: exact, mentions }) {
    const link = make('a', { href: channel ? `#${group}/${channel}` : `#${group}` }, channel ? `# ${name || channel}` : 'open');
    const current = `${group}/${channel}` === this.selected;
    if (current) link.setAttribute('aria-current', 'page');
    if (unread > 0 && !current) {
      const label = `${Math.min(unread, 99)}${unread > 99 || exact === false ? '+' : ''}`;
      link.append(make('span', { className: mentions > 0 ? 'badge mention' : 'badge', 'aria-label': `${label} unread` }, label));
    }
    return make('li', {}, link);
  }
}
