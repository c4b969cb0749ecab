// One stream of the server's events feeds all pages: a page says what to load,
// and it is loaded again soon after something happened.

import { get, Problem } from './api'
import type { Event } from './records'

class Live {
  connected = $state(false)
  lost = $state(0) // since when it is not connected, after it was; 0: it is
  private source: EventSource | undefined
  private wanted = false
  private listeners = new Set<(e: Event) => void>()
  private backs = new Set<() => void>()

  start() {
    this.wanted = true
    if (this.source) return
    this.source = new EventSource('/api/v1/events/stream')
    this.source.onopen = () => {
      const again = this.lost > 0
      this.connected = true
      this.lost = 0
      if (again) for (const f of this.backs) f()
    }
    this.source.onerror = () => {
      if (this.connected) this.lost = Date.now()
      this.connected = false
      if (this.source?.readyState === EventSource.CLOSED) { // refused: browsers do not try again by themselves
        this.source = undefined
        setTimeout(() => { if (this.wanted) this.start() }, 3000)
      }
    }
    this.source.onmessage = (m) => {
      const e = JSON.parse(m.data) as Event
      for (const f of this.listeners) f(e)
    }
  }

  stop() {
    this.wanted = false
    this.source?.close()
    this.source = undefined
    this.connected = false
    this.lost = 0
  }

  on(f: (e: Event) => void): () => void {
    this.listeners.add(f)
    return () => this.listeners.delete(f)
  }

  // back tells when the server answers again.
  back(f: () => void): () => void {
    this.backs.add(f)
    return () => this.backs.delete(f)
  }
}

export const live = new Live()

// Loaded is the newest answer for a path, kept while the next one is on its way,
// so that nothing jumps.
export class Loaded<T> {
  value = $state<T | undefined>()
  problem = $state<Problem | undefined>()
  private path = ''
  private exact: (() => string) | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private again = false
  private loading = false

  // watch loads the path now and after events, and every few seconds for what no
  // event tells, such as a node's health. Call it in an $effect; it returns the end.
  // With exact, that is asked for each time: the same question with the time of now.
  watch(path: string, everySeconds = 5, want: (e: Event) => boolean = () => true, exact?: () => string): () => void {
    if (path !== this.path) { this.value = undefined; this.problem = undefined }
    this.path = path
    this.exact = exact
    void this.load()
    const off = live.on((e) => { if (want(e)) this.soon() })
    const back = live.back(() => void this.load())
    const beat = setInterval(() => { if (!document.hidden) void this.load() }, everySeconds * 1000)
    return () => { off(); back(); clearInterval(beat); clearTimeout(this.timer); this.timer = undefined }
  }

  soon() {
    if (this.timer) return
    this.timer = setTimeout(() => { this.timer = undefined; void this.load() }, 150)
  }

  async load() {
    if (this.loading) { this.again = true; return }
    this.loading = true
    const path = this.path
    try {
      const value = await get<T>(this.exact?.() ?? path)
      if (path === this.path) { this.value = value; this.problem = undefined }
    } catch (e) {
      const p = e instanceof Problem ? e : new Problem(0, String(e))
      // Without a connection the page keeps what it has; App says how old that is.
      if (path === this.path && !(p.status === 0 && this.value !== undefined)) this.problem = p
    } finally {
      this.loading = false
      if (this.again) { this.again = false; this.soon() }
    }
  }
}
