// What one message looks like. Text is only ever set as text: nothing a guest writes can become markup.
const TOAST = 3_500;
const MARKS = { sending: "◷", delivered: "✓✓", failed: "!" };

export function bubbleElement(bubble, phone) {
  const row = part("div", `row row-${bubble.who}`);
  row.dataset.id = bubble.id;
  if (bubble.mark === "gone") {
    row.hidden = true;
    return row;
  }
  if (bubble.who === "notice") {
    const toast = bubble.kind === "toast";
    // A toast passes; one from earlier is not shown again.
    row.hidden = toast && Date.now() - Date.parse(bubble.at) > TOAST;
    row.append(part("p", toast ? "notice toast" : "notice", bubble.text));
    if (toast) setTimeout(() => (row.hidden = true), TOAST);
    return row;
  }
  const side = part("div", "side");
  const body = part("div", `bubble bubble-${bubble.kind}`);
  if (bubble.reply_to) body.append(part("div", "quote", bubble.reply_to));
  body.append(textElement(bubble, phone));
  if (phone.channel === "telegram") body.append(telegramFoot(bubble, phone));
  side.append(body);
  if (phone.channel === "wechat" && bubble.who === "guest") side.prepend(wechatMark(bubble, phone));
  if (phone.channel === "telegram" && bubble.choices.length) side.append(keyboard(bubble, phone));
  row.append(side);
  if (phone.channel === "wechat") row.prepend(phone.avatar(bubble.who));
  return row;
}

export function timeElement(at, before) {
  const then = new Date(at);
  const sameDay = before && new Date(before).toDateString() === then.toDateString();
  const today = new Date().toDateString() === then.toDateString();
  const form = { hour: "2-digit", minute: "2-digit", hour12: false };
  const day = today || sameDay ? {} : { month: "short", day: "numeric" };
  const line = part("p", "when");
  const time = part("time", "", then.toLocaleString(document.documentElement.lang, { ...day, ...form }));
  time.dateTime = then.toISOString();
  line.append(time);
  return line;
}

function textElement(bubble, phone) {
  const text = part("span", "text");
  for (const piece of bubble.pieces) {
    if (piece.choice >= 0) {
      const link = part("button", "link", piece.text);
      link.type = "button";
      link.addEventListener("click", () => phone.press(bubble, bubble.choices[piece.choice]));
      text.append(link);
    } else if (piece.url) {
      const link = part("a", "link", piece.text);
      link.href = piece.url;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      text.append(link);
    } else {
      text.append(part("span", piece.style, piece.text));
    }
  }
  return text;
}

function telegramFoot(bubble, phone) {
  const foot = part("span", "foot-line");
  if (bubble.edited) foot.append(part("span", "edited", phone.words.edited));
  const at = new Date(bubble.at);
  const time = part("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false }));
  time.dateTime = bubble.at;
  foot.append(time);
  if (bubble.mark) foot.append(mark(bubble, phone));
  return foot;
}

function wechatMark(bubble, phone) {
  // WeChat says nothing when all is well.
  return bubble.mark === "delivered" ? part("span", "mark") : mark(bubble, phone);
}

function mark(bubble, phone) {
  const sign = part("span", `mark mark-${bubble.mark}`, MARKS[bubble.mark] ?? "");
  sign.setAttribute("role", "img");
  sign.setAttribute("aria-label", phone.words[bubble.mark] ?? "");
  sign.title = phone.words[bubble.mark] ?? "";
  return sign;
}

function keyboard(bubble, phone) {
  const board = part("div", "keyboard");
  let row = null;
  let number = -1;
  for (const choice of bubble.choices) {
    if (choice.row !== number) {
      number = choice.row;
      row = part("div", "keys");
      board.append(row);
    }
    const key = part(choice.url ? "a" : "button", "key", choice.title);
    if (choice.url) {
      key.href = choice.url;
      key.target = "_blank";
      key.rel = "noopener noreferrer";
    } else {
      key.type = "button";
      key.addEventListener("click", () => phone.press(bubble, choice));
    }
    row.append(key);
  }
  return board;
}

function part(tag, name, text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.textContent = text;
  return element;
}
