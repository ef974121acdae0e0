// The list of hits: pictures, one player for the whole page, keyboard. No library, no network but
// the server that the page came from.

const CHUNK_S = 30 // as much is fetched at once when somebody listens on from any place
const LONGEST_S = 60 // the server gives no longer excerpt for listening,
const LONGEST_TAKEN_S = 300 // nor for taking away
const COARSE_FROM_S = 45 // of what is longer a coarse picture comes first
const VIEW = "echoic-view" // what pictures show is remembered by the browser
const lists = new Set()

// -- The player: one audio element, whatever is on the page --------------------------------------

const player = {
  card: null, // whose sound it is
  part: null, // {from, to, end, passage}: what it plays now, and where it is to end
}

function audio() {
  let element = document.getElementById("echoic-player")
  if (!element) {
    element = document.createElement("audio")
    element.id = "echoic-player"
    element.hidden = true
    document.body.append(element)
    element.addEventListener("playing", () => show(player.card))
    element.addEventListener("pause", () => show(player.card))
    element.addEventListener("ended", goOn)
    element.addEventListener("error", tellFault)
    // Other players of the page fall silent when this one begins, and the other way round.
    document.addEventListener("play", (event) => silenceOthers(event.target), true)
  }
  return element
}

function silenceOthers(started) {
  for (const other of document.querySelectorAll("audio, video")) {
    if (other !== started && !other.paused) other.pause()
  }
}

function excerptUrl(card, from, to) {
  return `${card.data.sound}/excerpt.flac?v=${card.data.version}&from=${from.toFixed(3)}&to=${to.toFixed(3)}`
}

// Plays from one time to another, in pieces if need be; passage is its number, or null.
function play(card, from, end, passage) {
  const sound = audio()
  const before = player.card
  const longest = passage === null ? CHUNK_S : LONGEST_S
  const to = Math.min(end, from + longest)
  player.card = card
  player.part = { from, to, end, passage }
  if (before && before !== card) show(before)
  card.note.textContent = ""
  sound.src = excerptUrl(card, from, to)
  sound.loop = repeats()
  sound.dataset.recording = card.data.id
  sound.dataset.from = String(from)
  sound.play().catch(() => {}) // a fault is told by the error event
  card.list.activate(card)
  show(card)
  requestAnimationFrame(follow)
}

function playPassage(card, number) {
  const passage = card.data.passages[number]
  if (!passage) return playFrom(card, 0)
  play(card, passage.from, passage.to, number)
}

function repeats() {
  const { card, part } = player
  const passage = card.data.passages[part.passage]
  return Boolean(card.loops && passage && part.from === passage.from && part.to === passage.to)
}

function playFrom(card, from) {
  const start = Math.max(0, Math.min(from, card.data.duration - 0.2))
  play(card, start, card.data.duration, null)
}

function stop() {
  audio().pause()
}

function isPlaying(card) {
  return player.card === card && !audio().paused
}

function toggle(card) {
  if (isPlaying(card)) return stop()
  playPassage(card, card.chosen)
}

function goOn() {
  const { card, part } = player
  if (card && part.to < part.end - 0.05) {
    play(card, part.to, part.end, part.passage)
  } else if (card?.loops && part.passage !== null) {
    playPassage(card, part.passage)
  } else {
    show(card)
  }
}

async function tellFault() {
  const { card, part } = player
  if (!card || !audio().getAttribute("src")) return
  show(card)
  let reason = "the sound could not be loaded"
  try {
    const answer = await fetch(excerptUrl(card, part.from, part.to))
    if (!answer.ok && (answer.headers.get("content-type") || "").startsWith("text/plain")) {
      reason = await answer.text()
    }
  } catch {
    reason = "the server does not answer: is Echoic still running?"
  }
  card.note.textContent = `Cannot play: ${reason}`
}

function follow() {
  const { card, part } = player
  if (!card || !card.head.isConnected) return
  const at = part.from + audio().currentTime
  const [from, to] = card.view
  const share = (at - from) / (to - from)
  card.head.hidden = audio().paused || share < 0 || share > 1
  card.head.style.left = `${100 * share}%`
  if (!audio().paused) requestAnimationFrame(follow)
}

function show(card) {
  if (!card) return
  const playing = isPlaying(card)
  card.element.classList.toggle("playing", playing)
  card.play.setAttribute("aria-label", `${playing ? "Stop" : "Play"} ${card.data.title}`)
  card.play.title = playing ? "Stop (space)" : "Play (space)"
  card.play.replaceChildren(icon(playing ? "stop" : "play"))
  const number = player.card === card && player.part ? player.part.passage : null
  card.chips.forEach((chip, at) => chip.classList.toggle("now", playing && at === number))
  if (!playing) card.head.hidden = true
}

// -- Small things --------------------------------------------------------------------------------

const ICONS = {
  play: "M8 5v14l11-7z",
  stop: "M6 6h12v12H6z",
  loop: "M7 7h10v3l4-4-4-4v3H5v6h2zm10 10H7v-3l-4 4 4 4v-3h12v-6h-2z",
  more: "M12 5v14M5 12h14",
  less: "M5 12h14",
  save: "M12 3v12m-5-5 5 5 5-5M4 20h16",
  open: "M4 12h14m-5-6 6 6-6 6",
  keep: "M4 6h11M4 11h11M4 16h6m7-3v7m-3.5-3.5h7",
  out: "M6 6l12 12M18 6 6 18",
  up: "M12 19V6m-6 6 6-6 6 6",
  down: "M12 5v13m-6-6 6 6 6-6",
}
const FILLED = new Set(["play", "stop", "loop"])

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("viewBox", "0 0 24 24")
  svg.setAttribute("aria-hidden", "true")
  svg.setAttribute("class", FILLED.has(name) ? "icon filled" : "icon")
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
  path.setAttribute("d", ICONS[name])
  svg.append(path)
  return svg
}

function make(tag, options = {}, ...children) {
  const { class: classes, text, on, ...attributes } = options
  const element = document.createElement(tag)
  if (classes) element.className = classes
  if (text !== undefined) element.textContent = text
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(name, value)
  }
  for (const [name, listener] of Object.entries(on || {})) element.addEventListener(name, listener)
  element.append(...children.filter(Boolean))
  return element
}

function clock(seconds) {
  const whole = Math.floor(seconds)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (n) => String(n).padStart(2, "0")
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

let shownView = null

function view() {
  try {
    shownView ??= localStorage.getItem(VIEW)
  } catch {
    // The browser keeps nothing for us: it is remembered until the page is left.
  }
  return shownView === "waveform" ? "waveform" : "spectrogram"
}

function turnView() {
  shownView = view() === "waveform" ? "spectrogram" : "waveform"
  try {
    localStorage.setItem(VIEW, shownView)
  } catch {
    // As above.
  }
  for (const list of lists) {
    list.tellView()
    for (const card of list.cards) card.paint()
  }
}

// -- One card ------------------------------------------------------------------------------------

class Card {
  constructor(list, data) {
    this.list = list
    this.data = data
    this.chosen = 0
    this.loops = false
    this.view = [0, data.duration]
    this.chips = []
    this.build()
    show(this)
  }

  get passage() {
    return this.data.passages[this.chosen] || { from: 0, to: this.data.duration }
  }

  build() {
    const { data } = this
    this.play = make("button", {
      class: "play",
      type: "button",
      on: {
        click: () => toggle(this),
        pointerenter: () => this.warm(),
      },
    })
    this.note = make("p", { class: "note", role: "status" })
    const head = make(
      "div",
      { class: "head" },
      this.play,
      make("div", { class: "names" }, this.title(), make("p", { class: "place", text: data.place }), this.facts(),
        data.remark ? make("p", { class: "remark", text: data.remark }) : null),
      data.strength ? this.strength() : null,
    )
    this.element = make(
      "li",
      {
        class: data.large ? "card large" : "card",
        tabindex: "-1",
        "data-recording": data.id,
        "aria-label": data.label,
        on: { pointerdown: () => this.list.activate(this) },
      },
      head,
      this.strip(),
      data.large ? this.zoomBar() : null,
      this.foot(),
      data.copies?.length ? this.copies() : null,
      this.note,
    )
  }

  copies() {
    const { copies } = this.data
    const items = copies.map((copy) => {
      const link = make("a", { href: copy.page, text: copy.title, on: { click: (e) => this.open(e, copy.recording) } })
      return make("li", {}, link, make("span", { class: "quiet", text: copy.place }))
    })
    const summary = make("summary", { text: this.data.copies_text })
    return make("details", { class: "copies" }, summary, make("ul", {}, ...items))
  }

  title() {
    const { data } = this
    if (data.large || !data.page) return make("h3", { text: data.title })
    const link = make("a", { href: data.page, text: data.title, on: { click: (e) => this.open(e) } })
    return make("h3", {}, data.number ? `${data.number}. ` : null, link)
  }

  open(event, recording = this.data.recording) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return // a new tab
    event.preventDefault()
    this.ask("open", recording)
  }

  strength() {
    const { strength, score, found } = this.data
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, make("span", {}))
    bar.firstChild.style.width = `${Math.round(100 * score)}%`
    return make(
      "div",
      { class: `strength ${strength.kind}`, title: "How sure it is, from 0 to 1: from 0.8 strong, from 0.5 possible" },
      make("span", { class: "word" }, strength.text, make("span", { class: "number", text: score.toFixed(2) })),
      bar,
      make("span", { class: "found", text: found }),
    )
  }

  strip() {
    const { data } = this
    this.image = make("img", { loading: "lazy", decoding: "async", draggable: "false" })
    this.image.addEventListener("error", () => this.stripElement.classList.add("without"))
    this.image.addEventListener("load", () => this.refine())
    this.marks = make("div", { class: "marks", "aria-hidden": "true" })
    this.head = make("div", { class: "playhead", "aria-hidden": "true" })
    this.head.hidden = true
    this.stripElement = make(
      "div",
      { class: "strip", title: "Click to listen from here", on: { click: (e) => this.seek(e) } },
      this.image,
      this.marks,
      this.head,
    )
    this.look(...(data.view || [0, data.duration]))
    return this.stripElement
  }

  look(from, to) {
    this.view = [from, to]
    this.paint()
    this.mark()
  }

  // A picture of minutes takes its time: a coarse one is there at once, and gives way to it.
  paint() {
    const { data } = this
    const [from, to] = this.view
    const whole = from <= 0 && to >= data.duration
    const part = whole ? "" : `&from=${from.toFixed(3)}&to=${to.toFixed(3)}`
    const showsWave = view() === "waveform"
    this.fine = `${data.sound}/picture.png?v=${data.version}${part}${showsWave ? "&view=waveform" : ""}`
    this.image.alt = `${showsWave ? "Waveform" : "Spectrogram"} of ${data.picture}`
    this.stripElement.classList.remove("without")
    this.image.src = to - from > COARSE_FROM_S ? `${this.fine}&coarse=1` : this.fine
  }

  refine() {
    if (!this.image.src.endsWith("&coarse=1")) return
    const better = new Image()
    const { fine } = this
    better.addEventListener("load", () => {
      if (this.fine === fine) this.image.src = fine
    })
    better.src = fine
  }

  mark() {
    const [from, to] = this.view
    this.marks.replaceChildren(
      ...this.data.passages.flatMap((passage, number) => {
        if (passage.from <= from + 0.05 && passage.to >= to - 0.05) return [] // all that is seen
        const mark = make("div", { class: number === this.chosen ? "mark chosen" : "mark" })
        const share = (time) => Math.max(0, Math.min(100, (100 * (time - from)) / (to - from)))
        mark.style.left = `${share(passage.from)}%`
        mark.style.right = `${100 - share(passage.to)}%`
        return mark
      }),
    )
  }

  seek(event) {
    const box = this.stripElement.getBoundingClientRect()
    const [from, to] = this.view
    playFrom(this, from + ((to - from) * (event.clientX - box.left)) / box.width)
  }

  zoomBar() {
    const step = (share) => () => this.move(share)
    const button = (text, label, on) =>
      make("button", { class: "plain", type: "button", "aria-label": label, title: label, text, on: { click: on } })
    this.range = make("span", { class: "range", "aria-live": "polite" })
    this.tell()
    return make(
      "div",
      { class: "zoom" },
      button("−", "Zoom out", () => this.zoom(2)),
      button("+", "Zoom in", () => this.zoom(0.5)),
      button("‹", "Earlier", step(-0.5)),
      button("›", "Later", step(0.5)),
      button("Whole recording", "Show the whole recording", () => this.lookAt(0, this.data.duration)),
      this.range,
    )
  }

  zoom(factor) {
    const [from, to] = this.view
    const length = Math.min(this.data.duration, Math.max(0.5, (to - from) * factor))
    const inside = this.passage.from >= from && this.passage.to <= to
    const middle = inside && factor < 1 ? (this.passage.from + this.passage.to) / 2 : (from + to) / 2
    this.lookAt(middle - length / 2, middle + length / 2)
  }

  move(share) {
    const [from, to] = this.view
    this.lookAt(from + share * (to - from), to + share * (to - from))
  }

  lookAt(from, to) {
    const length = Math.min(to - from, this.data.duration)
    const start = Math.max(0, Math.min(from, this.data.duration - length))
    this.look(start, start + length)
    this.tell()
  }

  tell() {
    this.range.textContent = `${clock(this.view[0])} to ${clock(this.view[1])}`
  }

  foot() {
    const { data } = this
    this.chips = data.passages.map((passage, number) =>
      make("button", {
        class: "chip",
        type: "button",
        text: passage.text,
        "aria-label": `Play ${passage.label} of ${data.title}`,
        on: { click: () => this.choose(number) },
      }),
    )
    const chips = make("div", { class: "chips" }, ...this.chips)
    if (data.more_passages) chips.append(make("span", { class: "quiet", text: data.more_passages }))
    return make("div", { class: "foot" }, chips, this.actions())
  }

  facts() {
    return make("p", { class: "facts" }, ...this.data.facts.map((fact) => make("span", { text: fact })))
  }

  actions() {
    const { data } = this
    const button = (name, text, label, on) =>
      make("button", { class: "plain", type: "button", "aria-label": `${label}: ${data.title}`, title: label, on: { click: on } },
        icon(name), make("span", { text }))
    this.loop = button("loop", "Loop", "Repeat the passage", () => this.toggleLoop())
    this.loop.setAttribute("aria-pressed", "false")
    this.link = make("a", { class: "plain", draggable: "true", title: "Download the passage as WAV; or drag it into your editor",
      "aria-label": `Download the passage: ${data.title}` }, icon("save"), make("span", { text: "Download" }))
    this.link.addEventListener("dragstart", (event) => this.drag(event))
    this.aim()
    const asks = (data.actions || []).map((action) =>
      button(action.icon, action.text, action.label, () => this.ask(action.kind)))
    return make("div", { class: "actions" }, this.loop, this.link, ...asks)
  }

  aim() {
    const { from, to } = this.passage
    const end = Math.min(to, from + LONGEST_TAKEN_S)
    const { sound, version } = this.data
    this.link.href = `${sound}/passage.wav?v=${version}&from=${from.toFixed(3)}&to=${end.toFixed(3)}`
    this.link.download = ""
  }

  drag(event) {
    // Chromium hands the file itself to the program it is dropped on.
    const name = `${this.data.title.replace(/[\\/:*?"<>|\r\n]/g, "_")}.wav`
    event.dataTransfer.setData("DownloadURL", `audio/wav:${name}:${this.link.href}`)
  }

  choose(number) {
    this.chosen = number
    this.aim()
    this.mark()
    if (isPlaying(this) && player.part.passage === number) return stop()
    playPassage(this, number)
  }

  step(by) {
    const number = this.chosen + by
    if (number >= 0 && number < this.data.passages.length) this.choose(number)
  }

  toggleLoop() {
    this.loops = !this.loops
    this.loop.setAttribute("aria-pressed", String(this.loops))
    if (player.card === this) audio().loop = repeats()
  }

  warm() {
    if (this.warmed) return
    this.warmed = true
    const { from, to } = this.passage
    fetch(excerptUrl(this, from, Math.min(to, from + LONGEST_S))).catch(() => {})
  }

  ask(kind, recording = this.data.recording) {
    const { from, to } = this.passage
    const { entry, score } = this.data
    this.list.send({ kind, recording, from, to, entry, score, at: Date.now() })
  }
}

// -- The list ------------------------------------------------------------------------------------

class List {
  constructor(root) {
    this.root = root
    this.cards = []
    this.active = null
    this.send = () => {}
    this.element = make("ol", { class: "cards" })
    this.hint = make("span", { class: "hint" })
    this.turn = make("button", { class: "plain", type: "button", on: { click: turnView } })
    this.below = make("div", { class: "below" }, this.hint, this.turn)
    this.below.hidden = true
    root.append(this.element, this.below)
    this.tellView()
  }

  tellView() {
    this.turn.textContent = view() === "waveform" ? "Show spectrograms" : "Show waveforms"
  }

  update(data, setTriggerValue) {
    this.send = (value) => setTriggerValue("action", value)
    const text = JSON.stringify(data)
    if (text === this.text) return
    this.text = text
    const kept = new Map(this.cards.map((card) => [JSON.stringify(card.data), card]))
    this.cards = data.cards.map((one) => kept.get(JSON.stringify(one)) || new Card(this, one))
    if (player.card?.list === this && !this.cards.includes(player.card)) stop()
    this.element.replaceChildren(...this.cards.map((card) => card.element))
    this.element.setAttribute("aria-label", data.label)
    this.hint.textContent = data.hint || ""
    this.below.hidden = !data.hint
    if (!this.cards.includes(this.active)) this.active = null
  }

  activate(card) {
    for (const list of lists) {
      list.active = list === this ? card : null
      for (const one of list.cards) one.element.classList.toggle("active", one === card)
    }
  }

  remove() {
    if (player.card?.list === this) stop()
    lists.delete(this)
  }
}

function visibleCards() {
  const all = [...lists].flatMap((list) => list.cards)
  const shown = all.filter((card) => card.element.getClientRects().length)
  const top = (card) => card.element.getBoundingClientRect().top
  return shown.sort((one, other) => top(one) - top(other))
}

function activeCard() {
  for (const list of lists) if (list.active) return list.active
  return null
}

function isTyping(event) {
  const target = event.composedPath()[0]
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName || "")
}

function opensSomething(event) {
  const target = event.composedPath()[0]
  return /^(BUTTON|A|SUMMARY)$/.test(target.tagName || "") || target.getAttribute?.("role")
}

function go(by) {
  const cards = visibleCards()
  if (!cards.length) return
  const at = cards.indexOf(activeCard())
  const next = cards[at < 0 ? 0 : Math.max(0, Math.min(cards.length - 1, at + by))]
  next.list.activate(next)
  next.element.focus({ preventScroll: true })
  next.element.scrollIntoView({ block: "nearest", behavior: "smooth" })
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
  if (document.querySelector('[role="dialog"]')) return // keys are for what lies above the cards
  if (event.key === "/" && !isTyping(event)) {
    const box = document.querySelector('input[aria-label="Search the archive"]')
    if (box) {
      event.preventDefault()
      box.focus()
      box.select()
    }
    return
  }
  if (isTyping(event) || !visibleCards().length) return
  const card = activeCard() || visibleCards()[0]
  const deeds = {
    ArrowDown: () => go(1),
    ArrowUp: () => go(-1),
    ArrowRight: () => card.step(1),
    ArrowLeft: () => card.step(-1),
    l: () => card.toggleLoop(),
    " ": () => toggle(card),
  }
  const deed = deeds[event.key]
  if (!deed || (event.key === " " && opensSomething(event) && event.composedPath()[0] !== card.element)) return
  event.preventDefault()
  deed()
}

const mounted = new WeakMap()

export default function ({ data, parentElement, setTriggerValue }) {
  let list = mounted.get(parentElement)
  if (!list) {
    list = new List(parentElement)
    mounted.set(parentElement, list)
  }
  if (!lists.size) document.addEventListener("keydown", onKey)
  lists.add(list)
  list.update(data, setTriggerValue)
  return () => {
    list.remove()
    mounted.delete(parentElement)
    list.element.remove()
    list.below.remove()
    if (!lists.size) document.removeEventListener("keydown", onKey)
  }
}
