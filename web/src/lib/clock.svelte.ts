// The time now, for "3 s ago"; it ticks once a second while the page is seen.
class Ticker {
  now = $state(Date.now())
  constructor() {
    setInterval(() => { if (!document.hidden) this.now = Date.now() }, 1000)
  }
}

export const ticker = new Ticker()
