// Own messages from the key press to the acknowledgement. Each is sent with one client_id for as long as its fate is
// unknown, so it is never there twice; it is kept in the tab's storage until then, so it is never lost.

const passing = new Set(['unavailable', 'internal', 'rate_limited', 'slow_mode', 'timeout']);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// uuidv7 makes a client_id (RFC 9562) for a time in ms since 1970.
export function uuidv7(now) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0; i < 6; i++) bytes[i] = Math.floor(now / 2 ** (8 * (5 - i))) % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export class Outbox {
  // send(message) gives a promise of the answer; changed() is called after every change; clock() is the server's time.
  constructor(storageKey, { send, changed, clock }) {
    this.storageKey = storageKey;
    this.send = send;
    this.changed = changed;
    this.clock = clock;
    this.lanes = new Set(); // channels whose messages are being sent, one at a time to keep their order
    this.items = []; // {message, state: waiting|sent|failed, error, n, at}
    try {
      this.items = JSON.parse(sessionStorage.getItem(storageKey)) ?? [];
    } catch (error) {
      console.warn('the stored outbox is not readable:', error);
    }
  }

  of(group, channel) {
    return this.items.filter(({ message }) => message.group === group && message.channel === channel);
  }

  add(message) {
    this.items.push({ message: { ...message, client_id: uuidv7(this.clock()) }, state: 'waiting', at: this.clock() });
    this.store();
    this.flush();
  }

  // retry sends a refused message again, as a new one: the server did not take the old one.
  retry(clientId) {
    const item = this.find(clientId);
    if (!item) return;
    this.items.splice(this.items.indexOf(item), 1);
    this.add(item.message);
  }

  discard(clientId) {
    this.items = this.items.filter(({ message }) => message.client_id !== clientId);
    this.store();
  }

  // seen takes out what stands in the log already: by its id, or by its number once that is known.
  seen(group, channel, clientIds, upto) {
    const before = this.items.length;
    this.items = this.items.filter(({ message, state, n }) =>
      message.group !== group || message.channel !== channel ||
      !(clientIds.has(message.client_id) || (state === 'sent' && n <= upto)));
    if (this.items.length !== before) this.store();
  }

  flush() {
    for (const { message } of this.items) this.drain(message.group, message.channel);
  }

  async drain(group, channel) {
    const lane = `${group}/${channel}`;
    if (this.lanes.has(lane)) return;
    this.lanes.add(lane);
    for (;;) {
      const item = this.of(group, channel).find(({ state }) => state === 'waiting');
      if (!item) break;
      try {
        const { n } = await this.send(item.message);
        item.state = 'sent';
        item.n = n;
      } catch (error) {
        if (error.code === 'disconnected') break; // the next connect flushes
        if (passing.has(error.code)) {
          await wait(error.retryMs || 1000);
          continue;
        }
        item.state = 'failed';
        item.error = error.message;
      }
      this.store();
    }
    this.lanes.delete(lane);
  }

  find(clientId) {
    return this.items.find(({ message }) => message.client_id === clientId);
  }

  store() {
    try {
      sessionStorage.setItem(this.storageKey, JSON.stringify(this.items.filter(({ state }) => state !== 'sent')));
    } catch (error) {
      console.warn('the outbox could not be stored:', error);
    }
    this.changed();
  }
}
