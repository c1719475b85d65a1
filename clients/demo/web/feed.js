// One channel's log, followed: every event once, in the order of v, or it is said aloud what is missing.

const tail = 100; // events to begin with
const pullLimit = 500; // events of one pull
const longestGap = 5_000; // events; what is more is not pulled one by one, the channel starts over instead

// Errors after which the same pull may succeed.
const passing = new Set(['unavailable', 'history_unavailable', 'internal', 'rate_limited', 'timeout']);

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Feed {
  // handlers: events(list) in order of v; reset() when what was delivered before no longer counts; ready() when it has
  // caught up after a subscribe; failed(error) when the server refuses; hole(expected, got); lost(after, upto).
  constructor(connection, group, channel, counters, handlers) {
    this.connection = connection;
    this.group = group;
    this.channel = channel;
    this.counters = counters;
    this.handlers = handlers;
    this.log = null; // the history of the channel that v belongs to
    this.v = 0; // the last event delivered
    this.n = 0; // messages so far
    this.run = null; // the current subscription: {queue, busy, answered}
  }

  // subscribe begins, or resumes after a loss of the connection.
  async subscribe() {
    const run = { queue: [], busy: false, answered: false };
    this.run = run;
    const { group, channel } = this;
    const resuming = this.log !== null;
    const from = resuming ? { after: this.v, log: this.log || undefined } : { tail };
    let answer;
    try {
      answer = await this.connection.request('subscribe', { group, channel, ...from });
    } catch (error) {
      if (run !== this.run || error.code === 'disconnected') return; // the next connect subscribes again
      this.handlers.failed(error);
      return;
    }
    if (run !== this.run) return;
    if (resuming && ((answer.log ?? '') !== this.log || answer.v < this.v)) {
      this.startOver();
      return;
    }
    const events = answer.events ?? [];
    if (!resuming) {
      this.log = answer.log ?? '';
      this.v = events.length > 0 ? events[0].v - 1 : answer.v;
    }
    // What the answer brings goes before what was pushed behind it, even if both came in one WebSocket message.
    const first = [{ events }];
    if (answer.gap) first.splice(answer.gap.after <= this.v ? 0 : 1, 0, { gap: answer.gap });
    run.queue.unshift(...first, { head: answer });
    run.answered = true;
    this.work(run);
  }

  // startOver forgets what it knows of the channel and begins with its tail.
  startOver() {
    const { group, channel } = this;
    this.log = null;
    this.v = 0;
    this.n = 0;
    this.handlers.reset();
    this.connection.request('unsubscribe', { group, channel }).catch(() => {});
    this.subscribe();
  }

  stop() {
    const { group, channel } = this;
    this.run = null;
    if (this.log !== null) this.connection.request('unsubscribe', { group, channel }).catch(() => {});
  }

  block(events) {
    this.push({ events });
  }

  gap(gap) {
    this.push({ gap });
  }

  push(item) {
    if (!this.run) return;
    this.run.queue.push(item);
    if (this.run.answered) this.work(this.run);
  }

  // work goes through the queue; while a gap is pulled, what comes after it waits there.
  async work(run) {
    if (run.busy) return;
    run.busy = true;
    while (run === this.run && run.queue.length > 0) {
      const { events, gap, head } = run.queue.shift();
      if (events) this.deliver(events);
      if (gap) await this.fill(run, gap);
      if (head && run === this.run) this.caughtUp(head);
    }
    run.busy = false;
  }

  deliver(events) {
    const fresh = [];
    for (const event of events) {
      if (event.v <= this.v) {
        this.counters.duplicates++;
        continue;
      }
      if (event.v > this.v + 1) this.hole(event.v);
      this.v = event.v;
      this.n = Math.max(this.n, event.n ?? 0);
      this.counters.delivered++;
      fresh.push(event);
    }
    this.counters.lastV = this.v;
    if (fresh.length > 0) this.handlers.events(fresh);
  }

  hole(got) {
    this.counters.holes++;
    this.handlers.hole(this.v + 1, got);
  }

  caughtUp(answer) {
    if (this.v < answer.v) {
      this.hole(answer.v + 1);
      this.v = answer.v;
    }
    this.n = Math.max(this.n, answer.n ?? 0);
    this.counters.lastV = this.v;
    this.handlers.ready();
  }

  // fill pulls what the server left out. It returns early when the subscription is over.
  async fill(run, { after, upto }) {
    this.counters.gaps++;
    if (after > this.v) this.hole(after + 1);
    if (upto - this.v > longestGap) {
      this.startOver();
      return;
    }
    while (this.v < upto) {
      let answer;
      try {
        answer = await this.connection.request('pull', {
          group: this.group, channel: this.channel, after: this.v, upto, limit: pullLimit,
        });
      } catch (error) {
        if (run !== this.run) return;
        if (error.code === 'disconnected') {
          this.run = null; // the next connect resumes after v
          return;
        }
        if (!passing.has(error.code)) {
          this.lose(upto);
          return;
        }
        await wait(error.retryMs || 1000);
        if (run !== this.run) return;
        continue;
      }
      if (run !== this.run) return;
      if (!answer.events?.length) {
        this.lose(upto);
        return;
      }
      this.deliver(answer.events);
    }
  }

  // lose goes on after events that are no longer kept.
  lose(upto) {
    this.handlers.lost(this.v, upto);
    this.v = upto;
    this.counters.lastV = upto;
  }
}
