// The page: who one is, which groups there are, and the one channel that is open.

import { Connection } from './connection.js';
import { Feed } from './feed.js';
import { Groups } from './groups.js';
import { MessageList, draw } from './list.js';
import { Members } from './members.js';
import { Outbox, uuidv7 } from './outbox.js';
import { actionText, make, names } from './text.js';

const $ = (id) => document.getElementById(id);
const mayRecallOthers = new Set(['owner', 'admin', 'moderator']);
const passing = new Set(['unavailable', 'internal', 'timeout', 'rate_limited']);

const counters = {
  delivered: 0,
  gaps: 0,
  holes: 0,
  duplicates: 0,
  lastV: 0,
  get state() {
    return connection?.state ?? 'idle';
  },
  // disconnect keeps the connection down until reconnect.
  disconnect() {
    connection.held = true;
    connection.drop();
  },
  reconnect() {
    connection.held = false;
    connection.open();
  },
};
window.throngDebug = counters;

let connection = null;
let me = '';
let limits = {};
let clockSkew = 0; // ms the server is ahead
let groups = null;
let outbox = null;
let open = null; // {group, channel, feed, info}
let editing = null; // {message, clientId}
let countdown = 0;
const drafts = new Map(); // "group/channel" -> text

const list = new MessageList(
  { scroller: $('scroller'), rows: $('messages'), top: $('top'), jump: $('jump') },
  {
    history: (where) => connection.request('history', { group: open.group, channel: open.channel, ...where }),
    me: () => me,
    mayRecall: () => mayRecallOthers.has(open?.info?.role),
    edit: beginEdit,
    recall: (message) => change('recall', { n: message.n }),
  },
);
const members = new Members(
  { panel: $('members'), rows: $('member-list'), count: $('member-count'), note: $('member-note'), more: $('more-members') },
  { request: (args) => connection.request('members', args), me: () => me },
);

// --- who one is

function showWelcome(error = '') {
  $('chat').hidden = true;
  $('welcome').hidden = false;
  $('sign-in-error').textContent = error;
  $('name').value = localStorage.getItem('throng.name') ?? '';
  $('name').focus();
}

$('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('name').value.trim();
  const token = $('with-token').open ? $('token').value.trim() : '';
  if (token === '' && name === '') {
    $('sign-in-error').textContent = 'Pick a name, or paste a token.';
    return;
  }
  localStorage.setItem('throng.name', name);
  signIn(token || `dev:${name}`);
});

$('sign-out').addEventListener('click', () => {
  sessionStorage.removeItem('throng.token');
  connection.end();
  location.reload();
});

function signIn(token) {
  // The tab's own storage: two tabs may be two people, and a reload remains the same one.
  sessionStorage.setItem('throng.token', token);
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  connection = new Connection(`${scheme}//${location.host}/v1/ws`, token, { state: showState, live: whenLive, frame: receive });
  $('welcome').hidden = true;
  $('chat').hidden = false;
  connection.open();
}

function whenLive(answer) {
  limits = answer.limits ?? {};
  clockSkew = answer.server_time ? answer.server_time - Date.now() : 0;
  if (me !== answer.user) {
    me = answer.user;
    $('me').textContent = me;
    outbox = new Outbox(`throng.outbox.${me}`, {
      send: (message) => connection.request('send', message),
      changed: drawPending,
      clock: () => Date.now() + clockSkew,
    });
    groups = new Groups(me, { box: $('groups'), offers: $('offers') }, {
      request: (command, args) => connection.request(command, args),
      go: (group, channel) => (location.hash = `${group}/${channel}`),
      enter: (group, create) => enterGroup(group, create),
    });
  }
  outbox.flush();
  groups.refresh();
  if (open) follow();
  else route();
}

function showState(state, { delay = 0, reason = '' } = {}) {
  clearInterval(countdown);
  const pill = $('state');
  pill.dataset.state = state;
  pill.textContent = { connecting: 'connecting…', live: 'live', ended: 'signed out' }[state] ?? '';
  $('retry').hidden = state !== 'offline';
  if (state === 'offline') {
    const until = Date.now() + delay;
    const show = () => {
      const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      pill.textContent = left > 0 && !connection.held ? `offline, retry in ${left} s` : 'offline';
    };
    show();
    countdown = setInterval(show, 1000);
  }
  if (state === 'ended' && reason) {
    sessionStorage.removeItem('throng.token');
    closeChannel(); // the next connection opens it anew
    showWelcome(reason);
  }
}

$('retry').addEventListener('click', () => connection.open());
window.addEventListener('online', () => connection?.open());
window.addEventListener('offline', () => connection?.probe(3000)); // not always true: a server may run on this machine

function receive(frame) {
  const { block, gap } = frame;
  if (block) ours(block)?.feed.block(block.events);
  else if (gap) ours(gap)?.feed.gap(gap);
  else if (frame.heads || frame.conversation) groups?.changed();
}

const ours = ({ group, channel }) => (open && open.group === group && open.channel === channel ? open : null);

// --- which channel is open

window.addEventListener('hashchange', route);

function route() {
  if (!connection?.isLive && !open) return; // whenLive comes here again
  let group, channel;
  try {
    [group, channel] = decodeURIComponent(location.hash.replace(/^#\/?/, '')).split('/');
  } catch {
    group = '';
  }
  if (open && open.group === group && (open.channel === channel || !channel)) return;
  closeChannel();
  if (!group) {
    say('Pick a group on the left, or join one.');
    document.body.classList.add('sidebar-open');
    return;
  }
  openChannel(group, channel);
}

function closeChannel() {
  if (open) {
    drafts.set(`${open.group}/${open.channel}`, editing ? '' : $('text').value);
    open.feed.stop();
  }
  open = null;
  cancelEdit();
  $('text').value = '';
  list.reset();
  $('pending').replaceChildren();
  $('alarm').hidden = true;
  $('title').replaceChildren('Throng');
  $('composer').hidden = true;
  members.close();
  say('');
}

function openChannel(group, channel) {
  open = { group, channel: channel || '', info: null, feed: null };
  const mine = open;
  mine.feed = new Feed(connection, group, mine.channel, counters, {
    events: (events) => mine === open && show(events),
    reset: () => mine === open && list.reset(),
    ready: () => mine === open && caughtUp(),
    failed: (error) => mine === open && refused(error),
    lost: (after, upto) => mine === open && alarm(`The events ${after + 1} to ${upto} are no longer kept.`),
    hole: (expected, got) => {
      const text = `bug: hole in v of ${group}/${mine.channel}: expected ${expected}, got ${got}`;
      console.error(text);
      if (mine === open) alarm(text);
    },
  });
  $('title').replaceChildren(make('span', { className: 'group' }, group), ` #${mine.channel}`);
  document.title = `${group} #${mine.channel} – Throng`;
  document.body.classList.remove('sidebar-open');
  $('composer').hidden = false;
  $('text').value = drafts.get(`${group}/${mine.channel}`) ?? '';
  grow();
  groups.select(group, mine.channel);
  drawPending();
  follow();
  if (matchMedia('(pointer: fine)').matches) $('text').focus();
}

// follow subscribes, or resumes; it runs at each connect.
async function follow() {
  const mine = open;
  if (!connection.isLive) return;
  if (mine.channel) mine.feed.subscribe();
  try {
    const info = await groups.info(mine.group);
    if (mine !== open) return;
    mine.info = info;
    if (!mine.channel) {
      const first = info.channels[0]?.channel;
      if (first) location.replace(`#${mine.group}/${first}`);
      else say('This group has no channel yet.', ['Try again', () => follow()]);
      return;
    }
    $('title').replaceChildren(make('span', { className: 'group' }, info.name), ` #${mine.channel}`);
    list.refill(); // one's role decides which buttons there are
    members.know(mine.group);
  } catch (error) {
    if (mine === open && !mine.channel) refused(error);
  }
}

function refused(error) {
  if (error.code === 'disconnected') return;
  const { group } = open;
  if (error.code === 'not_member') {
    $('composer').hidden = true;
    say(`You are not a member of ${group}.`, ['Join', () => enterGroup(group, false)]);
  } else if (passing.has(error.code)) {
    say(`${error.message}. Trying again…`);
    const mine = open;
    setTimeout(() => mine === open && follow(), error.retryMs || 2000);
  } else {
    $('composer').hidden = true;
    say(`Could not open this channel: ${error.message}.`, ['Try again', () => follow()]);
  }
}

function caughtUp() {
  say('');
  $('composer').hidden = false;
  list.ready(open.feed.n);
  outbox.seen(open.group, open.channel, new Set(), open.feed.n);
  groups.read(open.group, open.channel, open.feed.n);
}

function show(events) {
  const own = events.filter(({ kind, user }) => kind === 'message' && user === me).map(({ client_id: id }) => id);
  outbox.seen(open.group, open.channel, new Set(own), open.feed.n);
  for (const { kind, user } of events) if (kind === 'message') members.met(user);
  list.apply(events);
  if (!document.hidden) groups.read(open.group, open.channel, open.feed.n);
}

function say(text, action) {
  $('prompt').hidden = text === '';
  $('prompt').replaceChildren(make('p', {}, text));
  if (action) $('prompt').append(make('button', { type: 'button', className: 'primary', onclick: action[1] }, action[0]));
}

function alarm(text) {
  $('alarm').hidden = false;
  $('alarm').textContent = text;
}

// --- groups

$('open-group').addEventListener('submit', (event) => {
  event.preventDefault();
  enterGroup($('group-name').value.trim(), event.submitter?.value === 'create');
});

// enterGroup joins a group, making it first if asked to, and opens it.
async function enterGroup(group, create) {
  $('group-error').textContent = '';
  try {
    const channel = await groups.enter(group, create);
    $('group-name').value = '';
    if (open?.group === group) follow();
    else location.hash = channel ? `${group}/${channel}` : group;
    route();
  } catch (error) {
    const reason = error.code === 'not_found' ? `There is no group ${group} to join.` : `${group}: ${error.message}.`;
    $('group-error').textContent = reason;
    if (open?.group === group) say(reason);
  }
}

$('leave').addEventListener('click', async () => {
  const { group } = open;
  try {
    await groups.leave(group);
    location.hash = '';
  } catch (error) {
    $('member-note').textContent = `Could not leave: ${error.message}.`;
  }
});

// --- writing

const composer = $('composer');
const text = $('text');

function grow() {
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight}px`;
}

text.addEventListener('input', grow);

text.addEventListener('keydown', (event) => {
  if (event.isComposing) return;
  if (event.key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    composer.requestSubmit();
  } else if (event.key === 'Escape' && editing) {
    event.stopPropagation();
    cancelEdit();
  } else if (event.key === 'ArrowUp' && text.value === '') {
    const own = list.lastOwn();
    if (own) {
      event.preventDefault();
      beginEdit(own);
    }
  }
});

composer.addEventListener('submit', (event) => {
  event.preventDefault();
  const value = text.value;
  if (value.trim() === '' || !open?.channel) return;
  if (editing) {
    saveEdit(value);
    return;
  }
  const isAction = value.startsWith('/me ');
  const body = isAction ? { text: value.slice(4) } : value;
  if (tooLong(body)) return;
  const mentions = names(isAction ? body.text : value, (user) => members.knows(user));
  const { group, channel } = open;
  outbox.add({ group, channel, ...(isAction && { type: 'action' }), body, ...(mentions.length > 0 && { mentions }) });
  text.value = '';
  grow();
  list.toLatest();
});

function tooLong(body) {
  const most = limits.max_message_bytes ?? 16384;
  const size = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)).length;
  $('composer-error').textContent = size > most ? `This message has ${size} bytes; at most ${most} are allowed.` : '';
  return size > most;
}

function beginEdit(message) {
  editing = { message, clientId: uuidv7(Date.now() + clockSkew), draft: editing?.draft ?? text.value };
  text.value = message.type === 'action' ? actionText(message.body) : message.body;
  $('editing').hidden = false;
  $('send').textContent = 'Save';
  composer.classList.add('editing');
  grow();
  text.focus();
}

function cancelEdit() {
  if (!editing) return;
  text.value = editing.draft;
  editing = null;
  $('editing').hidden = true;
  $('send').textContent = 'Send';
  $('composer-error').textContent = '';
  composer.classList.remove('editing');
  grow();
}

$('cancel-edit').addEventListener('click', cancelEdit);

async function saveEdit(value) {
  const mine = editing;
  const body = mine.message.type === 'action' ? { text: value } : value;
  if (tooLong(body)) return;
  const saved = await change('edit', { n: mine.message.n, body, client_id: mine.clientId });
  if (saved && mine === editing) cancelEdit();
}

// change edits or recalls; what it does comes back as an event, like everybody's.
async function change(command, args) {
  $('composer-error').textContent = '';
  try {
    await connection.request(command, { group: open.group, channel: open.channel, ...args });
    return true;
  } catch (error) {
    $('composer-error').textContent = `Could not ${command}: ${error.message}. Try again.`;
    return false;
  }
}

function drawPending() {
  const items = open ? outbox.of(open.group, open.channel) : [];
  $('pending').replaceChildren(...items.map(({ message, state, error, at }) => {
    const id = message.client_id;
    const note = make('span', { className: 'note' }, { waiting: 'sending…', sent: 'sent', failed: `not sent: ${error}` }[state]);
    if (state === 'failed') {
      note.append(
        ' ', make('button', { type: 'button', className: 'link', onclick: () => outbox.retry(id) }, 'Send again'),
        ' ', make('button', { type: 'button', className: 'link', onclick: () => outbox.discard(id) }, 'Discard'));
    }
    return make('li', { className: `message mine pending ${state}`, 'data-client-id': id },
      ...draw({ ...message, user: me, ts: at }, { me, state: note }));
  }));
  if (list.stuck) list.toBottom();
}

// --- panels

function toggle(panel, isOpen) {
  document.body.classList.toggle(`${panel}-open`, isOpen);
  $(`open-${panel}`).setAttribute('aria-expanded', String(isOpen));
}

$('open-sidebar').addEventListener('click', () => {
  toggle('sidebar', true);
  $('close-sidebar').focus();
});
$('close-sidebar').addEventListener('click', () => toggle('sidebar', false));
$('open-members').addEventListener('click', () => {
  if (!open || !$('members').hidden) {
    closeMembers();
    return;
  }
  members.open(open.group);
  toggle('members', true);
});
$('close-members').addEventListener('click', closeMembers);
$('more-members').addEventListener('click', () => members.readMore());

function closeMembers() {
  members.close();
  toggle('members', false);
  $('open-members').focus();
}

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  toggle('sidebar', false);
  if (!$('members').hidden) closeMembers();
});

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && open?.feed.n) groups?.read(open.group, open.channel, open.feed.n);
});

// --- begin

const token = sessionStorage.getItem('throng.token');
if (token) signIn(token);
else showWelcome();
