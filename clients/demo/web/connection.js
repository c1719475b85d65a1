// One connection to the server: dials, connects, matches answers to requests, and comes back after every loss.

const answerTimeout = 30_000; // ms until a request without answer counts as lost
const dialTimeout = 10_000; // ms for the socket and the connect command together
const firstRetry = 500; // ms, doubled with each attempt that fails
const longestRetry = 30_000; // ms
const steady = 5_000; // ms a connection must last for the back-off to start anew

// Close codes after which coming back with the same token is pointless.
const finalCloses = new Map([
  [4401, 'The server does not accept this token.'],
  [4403, 'The token has expired.'],
  [4409, 'This session was replaced by another one.'],
]);

// CommandError is a refusal by the server, or one of two codes of our own: "disconnected" (not sent, or its answer can no
// longer arrive) and "timeout". After these two it is unknown whether the command took effect.
export class CommandError extends Error {
  constructor(code, message = code, retryMs = 0) {
    super(message);
    this.code = code;
    this.retryMs = retryMs;
  }
}

export class Connection {
  // handlers: state(name, detail) with the names connecting, live, offline and ended; live(answer) after each connect;
  // frame(frame) for what the server sends by itself.
  constructor(url, token, handlers) {
    this.url = url;
    this.token = token;
    this.handlers = handlers;
    this.state = 'idle';
    this.socket = null;
    this.lastId = 0;
    this.requests = new Map(); // id -> {resolve, reject, timer}
    this.attempts = 0; // dials since the last steady connection
    this.byeMs = null; // what the last bye frame asked for
    this.held = false; // tests keep the connection down
    this.timers = { retry: 0, dial: 0, steady: 0, heartbeat: 0 };
  }

  get isLive() {
    return this.state === 'live';
  }

  open() {
    clearTimeout(this.timers.retry);
    if (this.socket || this.held || this.state === 'ended') return;
    this.setState('connecting');
    const socket = new WebSocket(this.url, 'throng.v1.json');
    this.socket = socket;
    socket.onopen = () => this.connect(socket);
    socket.onmessage = (event) => socket === this.socket && this.receive(event.data);
    socket.onclose = (event) => socket === this.socket && this.lost(event.code);
    this.timers.dial = setTimeout(() => this.drop(), dialTimeout);
  }

  // drop gives the socket up at once, without waiting for a peer that may be gone, and comes back as after any loss.
  drop() {
    const socket = this.socket;
    if (!socket) return;
    this.lost(1006);
    socket.close();
  }

  // end closes for good.
  end() {
    this.finish('');
  }

  request(command, args) {
    if (!this.isLive) return Promise.reject(new CommandError('disconnected', 'not connected'));
    return this.send(command, args);
  }

  send(command, args) {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.requests.delete(id);
        reject(new CommandError('timeout', `no answer to ${command}`));
      }, answerTimeout);
      this.requests.set(id, { resolve, reject, timer });
      this.socket.send(JSON.stringify({ id, [command]: args }));
    });
  }

  async connect(socket) {
    let answer;
    try {
      answer = await this.send('connect', { token: this.token });
    } catch (error) {
      if (socket !== this.socket) return;
      if (error.code === 'unauthorized') {
        this.finish(error.message);
      } else {
        if (error.retryMs) this.byeMs = error.retryMs;
        this.drop();
      }
      return;
    }
    if (socket !== this.socket) return;
    clearTimeout(this.timers.dial);
    this.timers.steady = setTimeout(() => (this.attempts = 0), steady);
    // The browser answers the server's pings itself but tells nobody when they stop; ours notice a dead network.
    this.timers.heartbeat = setInterval(() => this.probe(), answer.heartbeat_ms || 25_000);
    this.setState('live');
    this.handlers.live(answer);
  }

  // probe finds out within some ms whether the other side is still there.
  probe(patience = dialTimeout) {
    const socket = this.socket;
    if (!this.isLive) return;
    const timer = setTimeout(() => socket === this.socket && this.drop(), patience);
    this.request('ping', {}).finally(() => clearTimeout(timer)).catch(() => {});
  }

  receive(data) {
    for (const line of data.split('\n')) {
      if (line.trim() === '') continue;
      let frame;
      try {
        frame = JSON.parse(line);
      } catch {
        console.error('a frame that is not JSON:', line);
        continue;
      }
      if (frame.id !== undefined) this.settle(frame);
      else if (frame.bye) this.byeMs = frame.bye.retry_ms ?? 0;
      else this.handlers.frame(frame);
    }
  }

  settle({ id, ok, error }) {
    const request = this.requests.get(id);
    if (!request) {
      if (error) console.error('an error that answers nothing:', error);
      return;
    }
    this.requests.delete(id);
    clearTimeout(request.timer);
    if (error) request.reject(new CommandError(error.code, error.message || error.code, error.retry_ms || 0));
    else request.resolve(ok ?? {});
  }

  // release forgets the socket and everything that waits for it.
  release() {
    this.socket = null;
    clearTimeout(this.timers.dial);
    clearTimeout(this.timers.steady);
    clearInterval(this.timers.heartbeat);
    const requests = [...this.requests.values()];
    this.requests.clear();
    for (const { reject, timer } of requests) {
      clearTimeout(timer);
      reject(new CommandError('disconnected', 'the connection was lost'));
    }
  }

  lost(code) {
    if (finalCloses.has(code)) {
      this.finish(finalCloses.get(code));
      return;
    }
    // The state changes first: whoever hears of a lost request finds the connection offline.
    const backOff = Math.min(longestRetry, firstRetry * 2 ** this.attempts++);
    const delay = this.byeMs === null ? backOff * (0.5 + Math.random() / 2) : this.byeMs + Math.random() * firstRetry;
    this.byeMs = null;
    this.setState('offline', { delay });
    this.release();
    if (!this.held) this.timers.retry = setTimeout(() => this.open(), delay);
  }

  finish(reason) {
    const socket = this.socket;
    clearTimeout(this.timers.retry);
    this.setState('ended', { reason });
    this.release();
    socket?.close();
  }

  setState(state, detail = {}) {
    this.state = state;
    this.handlers.state(state, detail);
  }
}
