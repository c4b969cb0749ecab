// One stream of the server's events feeds all pages: a page says what to load,
// and it is loaded again soon after something happened.

import { get, Problem } from './api'
import type { Event } from './records'

class Live {
  connected = $state(false)
  lost = $state(false) // was connected and is not
  private source: EventSource | undefined
  private listeners = new Set<(e: Event) => void>()

  start() {
    if (this.source) return
    this.source = new EventSource('/api/v1/events/stream')
    this.source.onopen = () => { this.connected = true; this.lost = false }
    this.source.onerror = () => {
      this.lost = this.connected || this.lost
      this.connected = false
      if (this.source?.readyState === EventSource.CLOSED) { // refused: browsers do not try again by themselves
        this.source = undefined
        setTimeout(() => this.start(), 3000)
      }
    }
    this.source.onmessage = (m) => {
      const e = JSON.parse(m.data) as Event
      for (const f of this.listeners) f(e)
    }
  }

  stop() {
    this.source?.close()
    this.source = undefined
    this.connected = this.lost = false
  }

  on(f: (e: Event) => void): () => void {
    this.listeners.add(f)
    return () => this.listeners.delete(f)
  }
}

export const live = new Live()

// Loaded is the newest answer for a path, kept while the next one is on its way,
// so that nothing jumps.
export class Loaded<T> {
  value = $state<T | undefined>()
  problem = $state<Problem | undefined>()
  private path = ''
  private timer: ReturnType<typeof setTimeout> | undefined
  private again = false
  private loading = false

  // watch loads the path now and after events, and every few seconds for what no
  // event tells, such as a node's health. Call it in an $effect; it returns the end.
  watch(path: string, everySeconds = 5, want: (e: Event) => boolean = () => true): () => void {
    if (path !== this.path) { this.value = undefined; this.problem = undefined }
    this.path = path
    void this.load()
    const off = live.on((e) => { if (want(e)) this.soon() })
    const beat = setInterval(() => { if (!document.hidden) void this.load() }, everySeconds * 1000)
    return () => { off(); clearInterval(beat); clearTimeout(this.timer); this.timer = undefined }
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
      const value = await get<T>(path)
      if (path === this.path) { this.value = value; this.problem = undefined }
    } catch (e) {
      if (path === this.path) this.problem = e instanceof Problem ? e : new Problem(0, String(e))
    } finally {
      this.loading = false
      if (this.again) { this.again = false; this.soon() }
    }
  }
}
