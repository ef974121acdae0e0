// The map: every recording a point. WebGL where a graphics processor does it, else pixels of our own.
// No library, no network but the server that the page came from.

const NEAR_PX = 10 // a point is meant from so near
const DWELL_MS = 140 // a pointer that only crosses a point plays nothing
const CLICK_PX = 5
const MOST_LISTED = 50
const NONE = 255 // the group of those that are in none
const CELLS = 512
// Told apart by all kinds of colour vision: at least 18 apart in CIELAB for people without red, green or
// blue cones, 45 for others; contrast with the page is at least 3.
const LIGHT = ["#5000f0", "#f00000", "#50a050", "#f028f0", "#502800", "#a02850", "#5028a0", "#002850"]
const DARK = ["#00a0f0", "#f0c878", "#00f0c8", "#f000c8", "#c8f000", "#7850f0", "#c85050", "#00a000"]
const OTHERS = ["#8d8b96", "#77747f"] // in light, in dark
const maps = new Set()

// -- Small things --------------------------------------------------------------------------------

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

const clamp = (value, low, high) => Math.max(low, Math.min(high, value))
const counted = (n) => `${n.toLocaleString("en")} ${n === 1 ? "recording" : "recordings"}`

function rgb(hex) {
  const n = parseInt(hex.slice(1), 16)
  return [(n >> 16) / 255, ((n >> 8) & 255) / 255, (n & 255) / 255]
}

// -- The player: one sound at a time -------------------------------------------------------------

const player = { id: null, owner: null }

function audio() {
  let element = document.getElementById("echoic-map-player")
  if (!element) {
    element = document.createElement("audio")
    element.id = "echoic-map-player"
    element.hidden = true
    document.body.append(element)
    for (const name of ["playing", "pause", "ended"]) {
      element.addEventListener(name, () => player.owner?.tellPlaying())
    }
    element.addEventListener("error", () => player.owner?.tellFault())
    document.addEventListener("play", (event) => silenceOthers(event.target), true)
  }
  return element
}

function silenceOthers(started) {
  for (const other of document.querySelectorAll("audio, video")) {
    if (other !== started && !other.paused) other.pause()
  }
}

function play(owner, info) {
  const sound = audio()
  player.id = info.id
  player.owner = owner
  sound.src = `${info.sound}/excerpt.flac?v=${info.version}&from=${info.from}&to=${info.to}`
  sound.dataset.recording = String(info.id)
  owner.tell("")
  sound.play().catch((error) => {
    if (error.name === "NotAllowedError") {
      owner.tell("Click once on the map: browsers play nothing before that.")
    }
  })
}

function stop() {
  audio().pause()
}

const isPlaying = (id) => player.id === id && !audio().paused

// -- The points, sorted for drawing and for finding ----------------------------------------------

class Points {
  constructor(buffer) {
    const head = new DataView(buffer)
    this.n = head.getUint32(8, true)
    const ids = new Uint32Array(buffer, 16, this.n)
    const places = new Uint16Array(buffer, 16 + 4 * this.n, 2 * this.n)
    const groups = new Uint8Array(buffer, 16 + 8 * this.n, this.n)
    this.sort(ids, places, groups)
    this.bucket()
    this.marks = new Uint8Array(this.n)
    this.n_marked = 0
  }

  // Those of no group are drawn first, then group by group, small ones above large ones.
  sort(ids, places, groups) {
    const slot = (group) => (group === NONE ? 0 : group + 1)
    this.starts = new Uint32Array(258)
    for (const group of groups) this.starts[slot(group) + 1]++
    for (let i = 1; i < 258; i++) this.starts[i] += this.starts[i - 1]
    const next = this.starts.slice()
    this.ids = new Uint32Array(this.n)
    this.places = new Uint16Array(2 * this.n)
    this.groups = new Uint8Array(this.n)
    for (let i = 0; i < this.n; i++) {
      const to = next[slot(groups[i])]++
      this.ids[to] = ids[i]
      this.groups[to] = groups[i]
      this.places[2 * to] = places[2 * i]
      this.places[2 * to + 1] = places[2 * i + 1]
    }
  }

  x(i) {
    return this.places[2 * i] / 65535
  }

  y(i) {
    return this.places[2 * i + 1] / 65535
  }

  cell(i) {
    return (this.places[2 * i + 1] >> 7) * CELLS + (this.places[2 * i] >> 7)
  }

  bucket() {
    this.first = new Uint32Array(CELLS * CELLS + 1)
    for (let i = 0; i < this.n; i++) this.first[this.cell(i) + 1]++
    for (let i = 1; i < this.first.length; i++) this.first[i] += this.first[i - 1]
    const next = this.first.slice()
    this.members = new Uint32Array(this.n)
    for (let i = 0; i < this.n; i++) this.members[next[this.cell(i)]++] = i
  }

  // Calls `visit` for the points in a box of the map, and some around it.
  within(x0, y0, x1, y1, visit) {
    const at = (value) => clamp(Math.floor((value * 65535) / 128), 0, CELLS - 1)
    for (let row = at(y0); row <= at(y1); row++) {
      const from = this.first[row * CELLS + at(x0)]
      const to = this.first[row * CELLS + at(x1) + 1]
      for (let k = from; k < to; k++) visit(this.members[k])
    }
  }

  nearest(x, y, reach, isShown) {
    let best = -1
    let least = reach * reach
    this.within(x - reach, y - reach, x + reach, y + reach, (i) => {
      const distance = (this.x(i) - x) ** 2 + (this.y(i) - y) ** 2
      if (distance <= least && isShown(i)) {
        least = distance
        best = i
      }
    })
    return best
  }

  mark(wanted, keep) {
    if (!keep) this.marks.fill(0)
    for (const i of wanted) this.marks[i] = 1
    this.n_marked = this.marks.reduce((sum, mark) => sum + mark, 0)
  }

  *marked() {
    for (let i = 0; i < this.n; i++) if (this.marks[i]) yield i
  }

  // Where most points of a group lie: the place for its name.
  heart(group) {
    const size = 24
    const counts = new Uint32Array(size * size)
    const cell = (i) => ((this.places[2 * i + 1] * size) >> 16) * size + ((this.places[2 * i] * size) >> 16)
    const [from, to] = [this.starts[group + 1], this.starts[group + 2]]
    for (let i = from; i < to; i++) counts[cell(i)]++
    let best = 0
    for (let i = 1; i < counts.length; i++) if (counts[i] > counts[best]) best = i
    let [x, y, n] = [0, 0, 0]
    for (let i = from; i < to; i++) {
      if (cell(i) !== best) continue
      x += this.x(i)
      y += this.y(i)
      n++
    }
    return [x / n, y / n]
  }
}

function inside(polygon, x, y) {
  let is_in = false
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i]
    const [xj, yj] = polygon[j]
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) is_in = !is_in
  }
  return is_in
}

// -- Drawing -------------------------------------------------------------------------------------

const VERTEX = `
attribute vec2 place; attribute float group; attribute float mark;
uniform vec2 scale; uniform vec2 shift; uniform float size; uniform float only; uniform float marking;
uniform vec3 colours[9];
varying vec4 colour; varying float edge;
void main() {
  gl_Position = vec4(place * scale + shift, 0.0, 1.0);
  float own = group > 8.0 ? 8.0 : group;
  bool dim = (only >= 0.0 && own != only) || (marking > 0.5 && mark < 0.5);
  float grown = marking > 0.5 && mark > 0.5 ? size + 1.5 : size;
  gl_PointSize = grown + 1.0;
  edge = 1.0 / grown;
  colour = vec4(colours[int(own)], dim ? 0.13 : 0.85);
}`
const FRAGMENT = `
precision mediump float;
varying vec4 colour; varying float edge;
void main() {
  float away = length(gl_PointCoord - 0.5);
  float alpha = colour.a * (1.0 - smoothstep(0.5 - edge, 0.5, away));
  gl_FragColor = vec4(colour.rgb * alpha, alpha);
}`

// Not every browser tells by itself that its WebGL is done without a graphics processor.
function isSoftware(gl) {
  const more = gl.getExtension("WEBGL_debug_renderer_info")
  const name = gl.getParameter(more ? more.UNMASKED_RENDERER_WEBGL : gl.RENDERER)
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name)
}

class GlPainter {
  constructor(canvas) {
    this.gl = canvas.getContext("webgl", { antialias: false, failIfMajorPerformanceCaveat: true })
    if (!this.gl || isSoftware(this.gl)) throw new Error("no graphics processor")
    const { gl } = this
    this.program = gl.createProgram()
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind)
      gl.shaderSource(shader, text)
      gl.compileShader(shader)
      gl.attachShader(this.program, shader)
    }
    gl.linkProgram(this.program)
    if (!gl.getProgramParameter(this.program, gl.LINK_STATUS)) throw new Error("WebGL lacks something")
    gl.useProgram(this.program)
    gl.enable(gl.BLEND)
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
    this.buffers = {}
  }

  fill(name, data, size, kind, normalized) {
    const { gl } = this
    const at = gl.getAttribLocation(this.program, name)
    this.buffers[name] ||= gl.createBuffer()
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name])
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW)
    gl.enableVertexAttribArray(at)
    gl.vertexAttribPointer(at, size, kind, normalized, 0, 0)
  }

  load(points) {
    const { gl } = this
    this.fill("place", points.places, 2, gl.UNSIGNED_SHORT, true)
    this.fill("group", points.groups, 1, gl.UNSIGNED_BYTE, false)
    this.mark(points)
  }

  mark(points) {
    this.fill("mark", points.marks, 1, this.gl.UNSIGNED_BYTE, false)
  }

  draw(points, view, look) {
    const { gl } = this
    const { width, height } = gl.canvas
    const uniform = (name) => gl.getUniformLocation(this.program, name)
    gl.viewport(0, 0, width, height)
    gl.clearColor(0, 0, 0, 0)
    gl.clear(gl.COLOR_BUFFER_BIT)
    const ratio = look.ratio
    gl.uniform2f(uniform("scale"), (2 * view.scale * ratio) / width, (-2 * view.scale * ratio) / height)
    gl.uniform2f(uniform("shift"), (2 * view.x * ratio) / width - 1, 1 - (2 * view.y * ratio) / height)
    gl.uniform1f(uniform("size"), look.size * ratio)
    gl.uniform1f(uniform("only"), look.only)
    gl.uniform1f(uniform("marking"), points.n_marked ? 1 : 0)
    gl.uniform3fv(uniform("colours"), look.colours.flatMap(rgb))
    gl.drawArrays(gl.POINTS, 0, points.n)
  }
}

// Writes pixels itself: without a graphics processor that is several times as fast as WebGL, or as a
// canvas that is told of each point. What is drawn later lies above; only edges of discs are mixed.
class PixelPainter {
  constructor(canvas) {
    this.context = canvas.getContext("2d")
  }

  load() {}

  mark() {}

  fit(margin) {
    const { width, height } = this.context.canvas
    const size = [width + 2 * margin, height + 2 * margin]
    if (this.image?.width === size[0] && this.image?.height === size[1]) return
    this.image = new ImageData(...size)
    this.pixels = new Uint32Array(this.image.data.buffer)
  }

  // Where a disc has pixels, seen from its middle: inner ones, edges and how much of these it covers.
  disc(size, width) {
    const [inner, edge, cover] = [[], [], []]
    const reach = Math.ceil(size / 2)
    for (let y = -reach; y <= reach; y++) {
      for (let x = -reach; x <= reach; x++) {
        const share = size / 2 - Math.hypot(x, y) + 0.5
        if (share >= 0.95) inner.push(y * width + x)
        else if (share > 0.1) {
          edge.push(y * width + x)
          cover.push(share)
        }
      }
    }
    return { inner, edge, cover }
  }

  draw(points, view, look) {
    const margin = Math.ceil(12 * look.ratio)
    this.fit(margin)
    this.pixels.fill(0)
    const disc = this.disc(look.size * look.ratio, this.image.width)
    const shown = (own, mark) => (look.only < 0 || own === look.only) && (!points.n_marked || Boolean(mark))
    const alpha = look.only >= 0 || points.n_marked ? [0.13, 0.85] : [0.85]
    for (const strength of alpha) {
      for (let group = -1; group < 8; group++) {
        const own = group < 0 ? 8 : group
        const range = [points.starts[group + 1], points.starts[group + 2]]
        const chosen = alpha.length === 1 ? null : (i) => shown(own, points.marks[i]) === strength > 0.5
        this.discs(points, range, view, look.ratio, margin, disc, look.colours[own], strength, chosen)
      }
    }
    this.context.putImageData(this.image, -margin, -margin)
  }

  discs(points, [from, to], view, ratio, margin, disc, colour, strength, chosen) {
    const { pixels } = this
    const { places } = points
    const { inner, edge, cover } = disc
    const { width, height } = this.image
    const [r, g, b] = rgb(colour).map((part) => Math.round(255 * part))
    const paint = (b << 16) | (g << 8) | r
    const full = (Math.round(255 * strength) << 24) | paint
    const partly = cover.map((share) => (Math.round(255 * strength * share) << 24) | paint)
    const step = (view.scale * ratio) / 65535
    const [left, top] = [view.x * ratio + margin, view.y * ratio + margin]
    const [low, right, bottom] = [margin / 2, width - margin / 2, height - margin / 2]
    for (let i = from; i < to; i++) {
      const x = places[2 * i] * step + left
      const y = places[2 * i + 1] * step + top
      if (x < low || y < low || x > right || y > bottom || (chosen && !chosen(i))) continue
      const at = ((y + 0.5) | 0) * width + ((x + 0.5) | 0)
      for (let k = 0; k < inner.length; k++) pixels[at + inner[k]] = full
      for (let k = 0; k < edge.length; k++) if (!pixels[at + edge[k]]) pixels[at + edge[k]] = partly[k]
    }
  }
}

// -- The map -------------------------------------------------------------------------------------

class MapView {
  constructor(root) {
    this.root = root
    this.points = null
    this.infos = new Map()
    this.view = { scale: 1, x: 0, y: 0 }
    this.pointers = new Map()
    this.only = -1
    this.hovered = -1
    this.pinned = -1
    this.lassoes = false
    this.send = () => {}
    this.build()
    this.watch = new ResizeObserver(() => this.resize())
    this.watch.observe(this.stage)
    this.scheme = matchMedia("(prefers-color-scheme: dark)")
    this.onScheme = () => this.dirty()
    this.scheme.addEventListener("change", this.onScheme)
  }

  build() {
    this.canvas = make("canvas", { "aria-hidden": "true" })
    this.names = make("div", { class: "names", "aria-hidden": "true" })
    this.ring = make("div", { class: "ring", hidden: "" })
    this.cross = make("div", { class: "cross", "aria-hidden": "true" })
    this.tip = make("div", { class: "tip", hidden: "", "aria-hidden": "true" })
    this.drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg")
    this.drawn.setAttribute("class", "drawn")
    this.drawn.setAttribute("aria-hidden", "true")
    this.path = document.createElementNS("http://www.w3.org/2000/svg", "path")
    this.drawn.append(this.path)
    this.stage = make(
      "div",
      {
        class: "stage",
        role: "application",
        tabindex: "0",
        "aria-describedby": "map-keys",
        on: {
          pointerdown: (event) => this.down(event),
          pointermove: (event) => this.move(event),
          pointerup: (event) => this.up(event),
          pointercancel: (event) => this.cancel(event),
          pointerleave: () => this.leave(),
          keydown: (event) => this.key(event),
          keyup: (event) => event.key === "Shift" && this.stage.classList.remove("choosing"),
        },
      },
      this.canvas,
      this.names,
      this.drawn,
      this.ring,
      this.cross,
      this.tip,
    )
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false })
    this.card = make("div", { class: "card", hidden: "", role: "group" })
    this.note = make("p", { class: "note", role: "status" })
    this.legend = make("div", { class: "legend", role: "group", "aria-label": "Colours" })
    this.chosen = make("div", { class: "chosen" })
    this.keys = make("p", {
      class: "keys",
      id: "map-keys",
      text: "Drag moves, wheel or pinch zooms, Shift and drag selects · arrows move, + − zoom, 0 shows all, Enter opens the sound at the cross",
    })
    this.frame = make("div", { class: "frame" }, this.stage, this.card, this.tools())
    this.element = make("div", { class: "map" }, this.legend, this.frame, this.note, this.keys, this.chosen)
    this.root.append(this.element)
    this.makePainter()
  }

  makePainter() {
    try {
      this.painter = new GlPainter(this.canvas)
    } catch {
      this.canvas.replaceWith((this.canvas = make("canvas", { "aria-hidden": "true" })))
      this.painter = new PixelPainter(this.canvas)
    }
    this.canvas.dataset.painter = this.painter instanceof GlPainter ? "webgl" : "pixels"
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault())
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.painter = new GlPainter(this.canvas)
      if (this.points) this.painter.load(this.points)
      this.dirty()
    })
  }

  tools() {
    const button = (text, label, on) =>
      make("button", { type: "button", text, title: label, "aria-label": label, on: { click: on } })
    this.lasso = button("Select", "Select by drawing around sounds", () => this.setLasso(!this.lassoes))
    this.lasso.setAttribute("aria-pressed", "false")
    this.hearing = make("input", { type: "checkbox" })
    this.hearing.checked = true
    this.hearing.addEventListener("change", () => this.hearing.checked || stop())
    return make(
      "div",
      { class: "tools", role: "toolbar", "aria-label": "Map" },
      button("+", "Zoom in", () => this.zoom(1.6)),
      button("−", "Zoom out", () => this.zoom(1 / 1.6)),
      button("All", "Show the whole map", () => this.fit()),
      this.lasso,
      button("Select view", "Select all that is in view", () => this.selectView()),
      make("label", { title: "Play what the pointer is on" }, this.hearing, make("span", { text: "Hover plays" })),
    )
  }

  // -- Data ----------------------------------------------------------------------------------

  async update(data, setTriggerValue) {
    this.send = (value) => setTriggerValue("action", { ...value, at: Date.now() })
    if (data.cleared !== this.cleared) {
      this.cleared = data.cleared
      if (this.points?.n_marked) this.select([], false)
    }
    if (data.address === this.address) return
    this.address = data.address
    this.data = data
    this.stage.setAttribute("aria-label", `Map of ${counted(data.n)}`)
    this.tell("Loading the map")
    try {
      const answer = await fetch(data.address)
      if (!answer.ok) throw new Error(await answer.text())
      const buffer = await answer.arrayBuffer()
      if (data.address !== this.address) return
      this.take(new Points(buffer))
      this.tell("")
    } catch (error) {
      if (data.address !== this.address) return // another map has been asked for since
      this.address = null
      this.tell(`The map cannot be loaded: ${error.message || "the server does not answer"}`)
    }
  }

  take(points) {
    const marked = new Set(this.points ? [...this.points.marked()].map((i) => this.points.ids[i]) : [])
    const is_first = !this.points
    this.points = points
    this.only = this.hovered = this.pinned = -1
    this.pinning = null
    this.card.hidden = this.tip.hidden = this.ring.hidden = true
    if (marked.size) points.mark(Array.from(points.ids.keys()).filter((i) => marked.has(points.ids[i])), false)
    this.painter.load(points)
    this.makeLegend()
    if (is_first) this.resize()
    // What was selected before the page was left is not seen any more.
    if (is_first && this.data.n_selected) this.send({ kind: "select", ids: [] })
    this.stage.dataset.points = String(points.n)
    this.dirty()
  }

  async inform(ids) {
    const lacking = ids.filter((id) => !this.infos.has(id))
    if (lacking.length) {
      const answer = await fetch(`/map/names?ids=${lacking.join(",")}`)
      if (!answer.ok) throw new Error(await answer.text())
      for (const info of await answer.json()) this.infos.set(info.id, info)
    }
    return ids.map((id) => this.infos.get(id)).filter(Boolean)
  }

  // -- Legend and names ----------------------------------------------------------------------

  makeLegend() {
    const n_grouped = this.data.groups.reduce((sum, group) => sum + group.n, 0)
    const n_others = this.points.n - n_grouped
    const rows = this.data.groups.map((group, at) => ({ ...group, at }))
    if (n_others > 0) rows.push({ label: rows.length ? "Others" : "All", n: n_others, at: 8 })
    this.entries = rows.map(({ label, n, at }) => {
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" })
      const button = make(
        "button",
        {
          type: "button",
          "aria-pressed": "false",
          title: "Show these alone",
          on: { click: () => this.showOnly(this.only === at ? -1 : at) },
        },
        swatch,
        make("span", { class: "label", text: label }),
        make("span", { class: "count", text: n.toLocaleString("en") }),
      )
      return { button, swatch, at }
    })
    this.legend.replaceChildren(...this.entries.map((entry) => entry.button))
    this.hearts = this.data.groups.map((group, at) => {
      const element = make("span", { text: group.label })
      return { element, place: this.points.heart(at) }
    })
    this.names.replaceChildren(...this.hearts.map((heart) => heart.element))
  }

  showOnly(group) {
    this.only = group
    for (const { button, at } of this.entries) button.setAttribute("aria-pressed", String(at === group))
    this.dirty()
  }

  isShown(i) {
    const own = this.points.groups[i] === NONE ? 8 : this.points.groups[i]
    return this.only < 0 || own === this.only
  }

  placeNames() {
    const taken = []
    for (const { element, place } of this.hearts) {
      const [x, y] = this.onScreen(...place)
      const half = element.textContent.length * 3.8 + 6
      const clashes = taken.some(([a, b, h]) => Math.abs(a - x) < h + half && Math.abs(b - y) < 20)
      const fits = x > half && y > 12 && x < this.width - half && y < this.height - 12
      element.hidden = clashes || !fits
      if (element.hidden) continue
      taken.push([x, y, half])
      element.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`
    }
  }

  // -- Where things are ----------------------------------------------------------------------

  onScreen(x, y) {
    return [x * this.view.scale + this.view.x, y * this.view.scale + this.view.y]
  }

  onMap(x, y) {
    return [(x - this.view.x) / this.view.scale, (y - this.view.y) / this.view.scale]
  }

  at(event) {
    const box = this.stage.getBoundingClientRect()
    return [event.clientX - box.left, event.clientY - box.top]
  }

  resize() {
    const box = this.stage.getBoundingClientRect()
    if (!box.width || !box.height) return
    const was = this.width
    this.width = box.width
    this.height = box.height
    this.ratio = Math.min(2, window.devicePixelRatio || 1)
    this.canvas.width = Math.round(box.width * this.ratio)
    this.canvas.height = Math.round(box.height * this.ratio)
    if (was === undefined || !this.isMoved) this.fit()
    this.dirty()
  }

  get whole() {
    return 0.92 * Math.min(this.width, this.height)
  }

  fit() {
    const scale = this.whole
    this.view = { scale, x: (this.width - scale) / 2, y: (this.height - scale) / 2 }
    this.isMoved = false
    this.dirty()
  }

  pan(dx, dy) {
    const { scale } = this.view
    this.view.x = clamp(this.view.x + dx, this.width / 2 - scale, this.width / 2)
    this.view.y = clamp(this.view.y + dy, this.height / 2 - scale, this.height / 2)
    this.isMoved = true
    this.dirty()
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = clamp(this.view.scale * factor, 0.5 * this.whole, 400 * this.whole)
    const [mx, my] = this.onMap(x, y)
    this.view = { scale, x: x - mx * scale, y: y - my * scale }
    this.pan(0, 0)
  }

  // -- Drawing -------------------------------------------------------------------------------

  dirty() {
    if (this.waits) return
    this.waits = true
    requestAnimationFrame(() => {
      this.waits = false
      this.draw()
    })
  }

  draw() {
    if (!this.points || !this.width) return
    const dark = this.isDark()
    const colours = [...(dark ? DARK : LIGHT), OTHERS[dark ? 1 : 0]]
    const zoomed = this.view.scale / this.whole
    const base = clamp(60 / this.points.n ** 0.3, 2.2, 11)
    const size = clamp(base * zoomed ** 0.4, 1.5, 18)
    this.painter.draw(this.points, this.view, { colours, size, only: this.only, ratio: this.ratio })
    for (const { swatch, at } of this.entries) swatch.style.background = colours[at]
    this.placeNames()
    this.placeRing(size)
    this.placeCard()
    this.stage.dataset.zoom = zoomed.toFixed(2)
  }

  isDark() {
    const said = getComputedStyle(this.element).getPropertyValue("--st-background-color").trim()
    if (!/^#[0-9a-f]{6}$/i.test(said)) return this.scheme.matches
    const [r, g, b] = rgb(said)
    return 0.3 * r + 0.6 * g + 0.1 * b < 0.5
  }

  placeRing(size) {
    const i = this.hovered >= 0 ? this.hovered : this.pinned
    this.ring.hidden = i < 0
    if (i < 0) return
    const [x, y] = this.onScreen(this.points.x(i), this.points.y(i))
    const width = size + 8
    this.ring.style.width = this.ring.style.height = `${width}px`
    this.ring.style.transform = `translate(${x - width / 2}px, ${y - width / 2}px)`
    this.beside(this.tip, x, y)
  }

  beside(element, x, y) {
    const below = y < 90
    const left = clamp(x, 130, Math.max(130, this.width - 130))
    element.style.left = `${left}px`
    element.style.top = `${below ? y + 16 : y - 16}px`
    element.classList.toggle("below", below)
  }

  placeCard() {
    if (this.pinned < 0) return
    const [x, y] = this.onScreen(this.points.x(this.pinned), this.points.y(this.pinned))
    this.card.hidden = x < 0 || y < 0 || x > this.width || y > this.height
    this.beside(this.card, x, y)
  }

  // -- What the pointer is on ----------------------------------------------------------------

  hover(i, { aloud = false } = {}) {
    if (i === this.hovered) return
    this.hovered = i
    clearTimeout(this.dwell)
    this.tip.hidden = true
    this.stage.classList.toggle("on", i >= 0)
    this.dirty()
    if (i < 0) return
    this.dwell = setTimeout(() => this.meet(i, aloud), DWELL_MS)
  }

  // Whoever moves by keyboard may not see the name beside the point: the status says it.
  async meet(i, aloud) {
    try {
      const [info] = await this.inform([this.points.ids[i]])
      if (!info || this.hovered !== i) return
      this.tip.replaceChildren(make("strong", { text: info.title }), make("span", { text: info.about }))
      this.tip.hidden = this.pinned === i
      if (this.hearing.checked && !isPlaying(info.id)) play(this, info)
      if (aloud) this.tell(`${info.title}, ${info.about}`)
    } catch (error) {
      this.tell(`The name cannot be loaded: ${error.message}`)
    }
  }

  async pin(i, { focus = false, hear = false } = {}) {
    this.unpin()
    if (i < 0) return
    const asked = (this.pinning = {})
    try {
      const [info] = await this.inform([this.points.ids[i]])
      if (!info || this.pinning !== asked) return
      this.pinned = i
      this.tip.hidden = true
      this.playButton = make("button", { type: "button", class: "main", on: { click: () => this.toggle(info) } })
      const open = make("a", { href: info.page, text: "Recording", on: { click: (event) => this.open(event, info) } })
      const close = make("button", { type: "button", text: "×", "aria-label": "Close", on: { click: () => this.unpin(true) } })
      this.card.replaceChildren(
        make("div", { class: "top" }, make("strong", { text: info.title }), close),
        make("span", { class: "about", text: info.about }),
        make("div", { class: "row" }, this.playButton, open),
      )
      this.card.setAttribute("aria-label", info.title)
      this.card.hidden = false
      this.tellPlaying()
      this.draw()
      if (focus) this.playButton.focus()
      if (hear && this.hearing.checked && !isPlaying(info.id)) play(this, info)
    } catch (error) {
      this.tell(`The recording cannot be shown: ${error.message}`)
    }
  }

  unpin(focus = false) {
    this.pinned = -1
    this.pinning = null
    this.card.hidden = true
    this.dirty()
    if (focus) this.stage.focus()
  }

  toggle(info) {
    if (isPlaying(info.id)) stop()
    else play(this, info)
  }

  open(event, info) {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return // a new tab
    event.preventDefault()
    stop()
    this.send({ kind: "open", recording: info.id })
  }

  tellPlaying() {
    const id = this.points && this.pinned >= 0 ? this.points.ids[this.pinned] : null
    if (this.playButton && id !== null) {
      const playing = isPlaying(id)
      this.playButton.textContent = playing ? "Stop" : "Play"
      this.playButton.setAttribute("aria-label", `${playing ? "Stop" : "Play"} ${this.card.getAttribute("aria-label")}`)
    }
    for (const button of this.chosen.querySelectorAll("button[data-id]")) {
      button.textContent = isPlaying(Number(button.dataset.id)) ? "■" : "▶"
    }
  }

  async tellFault() {
    let reason = "the sound could not be loaded"
    try {
      const answer = await fetch(audio().src)
      if (!answer.ok && (answer.headers.get("content-type") || "").startsWith("text/plain")) {
        reason = await answer.text()
      }
    } catch {
      reason = "the server does not answer: is Echoic still running?"
    }
    this.tell(`Cannot play: ${reason}`)
  }

  tell(text) {
    if (this.note.textContent !== text) this.note.textContent = text
  }

  // -- Pointers ------------------------------------------------------------------------------

  down(event) {
    if (event.button || !this.points) return
    this.stage.setPointerCapture(event.pointerId)
    this.pointers.set(event.pointerId, this.at(event))
    this.hover(-1)
    const start = this.at(event)
    if (this.pointers.size > 1) {
      this.drag = null
      this.path.removeAttribute("d")
      return
    }
    const kind = event.shiftKey ? "box" : this.lassoes ? "lasso" : "pan"
    this.drag = { kind, start, trail: [start], far: 0, keep: event.ctrlKey || event.metaKey }
  }

  move(event) {
    if (!this.points) return
    const now = this.at(event)
    const before = this.pointers.get(event.pointerId)
    if (!before) {
      this.stage.classList.toggle("choosing", event.shiftKey)
      if (event.pointerType !== "touch") this.hover(this.find(...now))
      return
    }
    if (this.pointers.size > 1) return this.pinch(event.pointerId, now)
    this.pointers.set(event.pointerId, now)
    if (!this.drag) return
    const { kind, start, trail } = this.drag
    this.drag.far = Math.max(this.drag.far, Math.hypot(now[0] - start[0], now[1] - start[1]))
    if (kind === "pan") {
      if (this.drag.far > CLICK_PX) this.pan(now[0] - before[0], now[1] - before[1])
      return
    }
    if (kind === "lasso") trail.push(now)
    else this.drag.trail = [start, [now[0], start[1]], now, [start[0], now[1]]]
    this.path.setAttribute("d", `M${this.drag.trail.map((place) => place.join(" ")).join("L")}Z`)
  }

  pinch(id, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, place]) => place)
    const before = this.pointers.get(id)
    const reach = (place) => Math.max(10, Math.hypot(place[0] - other[0], place[1] - other[1]))
    this.zoom(reach(now) / reach(before), other[0], other[1])
    this.pointers.set(id, now)
  }

  up(event) {
    const drag = this.pointers.size === 1 ? this.drag : null
    this.cancel(event)
    if (!drag) return
    if (drag.far <= CLICK_PX) this.pin(this.find(...drag.start), { hear: true })
    else if (drag.kind !== "pan") {
      this.selectInside(drag.trail.map((place) => this.onMap(...place)), drag.keep)
    }
  }

  cancel(event) {
    this.pointers.delete(event.pointerId)
    this.drag = null
    this.path.removeAttribute("d")
  }

  leave() {
    const met = this.hovered >= 0 ? this.points.ids[this.hovered] : null
    this.hover(-1)
    if (met !== null && isPlaying(met) && this.pinned < 0) stop()
  }

  wheel(event) {
    event.preventDefault()
    const step = clamp(event.deltaY * (event.deltaMode ? 30 : 1), -300, 300)
    this.zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0018)), ...this.at(event))
  }

  find(x, y) {
    const reach = NEAR_PX / this.view.scale
    return this.points.nearest(...this.onMap(x, y), reach, (i) => this.isShown(i))
  }

  // -- Keys ----------------------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.points) return
    const step = 0.12 * Math.min(this.width, this.height)
    const deeds = {
      ArrowLeft: () => this.pan(step, 0),
      ArrowRight: () => this.pan(-step, 0),
      ArrowUp: () => this.pan(0, step),
      ArrowDown: () => this.pan(0, -step),
      "+": () => this.zoom(1.4),
      "=": () => this.zoom(1.4),
      "-": () => this.zoom(1 / 1.4),
      0: () => this.fit(),
      Enter: () => this.pin(this.middle(), { focus: true }),
      Escape: () => (this.pinned >= 0 ? this.unpin() : this.select([], false)),
    }
    const deed = deeds[event.key]
    if (!deed) return
    event.preventDefault()
    event.stopPropagation()
    deed()
    if (!["Enter", "Escape"].includes(event.key)) this.hover(this.middle(), { aloud: true })
  }

  // The sound that is nearest to the middle of what is seen.
  middle() {
    const reach = (0.25 * Math.min(this.width, this.height)) / this.view.scale
    const [x, y] = this.onMap(this.width / 2, this.height / 2)
    return this.points.nearest(x, y, reach, (i) => this.isShown(i))
  }

  // -- Selecting -----------------------------------------------------------------------------

  setLasso(on) {
    this.lassoes = on
    this.lasso.setAttribute("aria-pressed", String(on))
    this.stage.classList.toggle("lasso", on)
  }

  selectInside(polygon, keep) {
    const xs = polygon.map(([x]) => x)
    const ys = polygon.map(([, y]) => y)
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
    const found = []
    this.points.within(x0, y0, x1, y1, (i) => {
      const [x, y] = [this.points.x(i), this.points.y(i)]
      if (x < x0 || x > x1 || y < y0 || y > y1 || !this.isShown(i)) return
      if (inside(polygon, x, y)) found.push(i)
    })
    this.select(found, keep)
  }

  selectView() {
    const [x0, y0] = this.onMap(0, 0)
    const [x1, y1] = this.onMap(this.width, this.height)
    this.selectInside([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], false)
  }

  select(found, keep) {
    const { points } = this
    points.mark(found, keep)
    this.painter.mark(points)
    const ids = Array.from(points.marked(), (i) => points.ids[i]).sort((a, b) => a - b)
    this.send({ kind: "select", ids })
    this.list(ids)
    this.tell(ids.length ? `${counted(ids.length)} selected` : "")
    this.dirty()
  }

  async list(ids) {
    this.listed = ids
    this.chosen.replaceChildren()
    if (!ids.length) return
    try {
      const infos = await this.inform(ids.slice(0, MOST_LISTED))
      if (this.listed !== ids) return // something else has been selected since
      const rows = infos.map((info) =>
        make(
          "li",
          {},
          make("button", { type: "button", text: "▶", "data-id": info.id, "aria-label": `Play or stop ${info.title}`, on: { click: () => this.toggle(info) } }),
          make("a", { href: info.page, text: info.title, on: { click: (event) => this.open(event, info) } }),
          make("span", { text: info.about }),
        ),
      )
      const more = ids.length - rows.length
      this.chosen.replaceChildren(
        make("details", {},
          make("summary", { text: "What is selected" }),
          make("ul", {}, ...rows),
          more > 0 ? make("p", { text: `and ${more.toLocaleString("en")} more` }) : null,
        ),
      )
    } catch (error) {
      this.tell(`The names cannot be loaded: ${error.message}`)
    }
  }

  remove() {
    if (player.owner === this) stop()
    clearTimeout(this.dwell)
    this.watch.disconnect()
    this.scheme.removeEventListener("change", this.onScheme)
    this.element.remove()
    maps.delete(this)
  }
}

const mounted = new WeakMap()

export default function ({ data, parentElement, setTriggerValue }) {
  let map = mounted.get(parentElement)
  if (!map) {
    map = new MapView(parentElement)
    mounted.set(parentElement, map)
    maps.add(map)
  }
  map.update(data, setTriggerValue)
  return () => {
    map.remove()
    mounted.delete(parentElement)
  }
}
