// Makes nodes of what people wrote. Text goes in as text, never as markup.

const interesting = /https?:\/\/[^\s<>"]+|(?<![\w.-])@[A-Za-z0-9_-]{1,64}/g;
const addressee = /^([A-Za-z0-9_-]{1,64})[:,]/;

// make builds an element: properties are set, null children left out.
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// actionText is the text of an action's body: an object, or its JSON as a string.
export function actionText(body) {
  if (typeof body === 'string') {
    try {
      body = JSON.parse(body);
    } catch {
      return body;
    }
  }
  return typeof body?.text === 'string' ? body.text : JSON.stringify(body);
}

// names lists the users that a text names: "@user" anywhere, or "user:" and "user," at its start if there is such a user.
export function names(text, isUser) {
  const found = new Set((text.match(interesting) ?? []).filter((word) => word[0] === '@').map((word) => word.slice(1)));
  const first = text.match(addressee);
  if (first && isUser(first[1])) found.add(first[1]);
  return [...found];
}

// nodes renders a text with its links and the mentions among the given users.
export function nodes(text, mentions, me) {
  const out = [];
  const mention = (word, user) => out.push(make('span', { className: user === me ? 'mention me' : 'mention' }, word));
  let at = 0;
  const first = text.match(addressee);
  if (first && mentions.includes(first[1])) {
    mention(first[1], first[1]);
    at = first[1].length;
  }
  for (const match of text.matchAll(interesting)) {
    let [word] = match;
    if (match.index < at) continue;
    if (word[0] === '@' && !mentions.includes(word.slice(1))) continue;
    out.push(text.slice(at, match.index));
    if (word[0] === '@') {
      mention(word, word.slice(1));
    } else {
      word = word.replace(/[.,;:!?)'\]]+$/, '');
      out.push(make('a', { href: word, target: '_blank', rel: 'noopener noreferrer' }, word));
    }
    at = match.index + word.length;
  }
  out.push(text.slice(at));
  return out;
}

// tone gives a user one of twelve colours, always the same.
export function tone(user) {
  let hash = 7;
  for (const letter of user) hash = (hash * 31 + letter.codePointAt(0)) % 9973;
  return `tone-${hash % 12}`;
}
