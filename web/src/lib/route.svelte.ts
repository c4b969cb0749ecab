// Where the browser is. Links are plain <a href>; clicks on them stay inside of
// the page.

class Route {
  path = $state(location.pathname)
  query = $state(new URLSearchParams(location.search))

  constructor() {
    addEventListener('popstate', () => this.read())
    addEventListener('click', (e) => {
      const a = (e.target as Element | null)?.closest?.('a')
      if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
      if (a.target || a.hasAttribute('download') || a.origin !== location.origin || a.pathname.startsWith('/api/') || a.pathname === '/render') return
      e.preventDefault()
      this.go(a.pathname + a.search)
    })
  }

  private read() {
    this.path = location.pathname
    this.query = new URLSearchParams(location.search)
  }

  go(to: string, replace = false) {
    if (to === location.pathname + location.search) return
    const moved = new URL(to, location.href).pathname !== location.pathname
    history[replace ? 'replaceState' : 'pushState'](null, '', to)
    this.read()
    if (moved) scrollTo(0, 0)
  }
}

export const route = new Route()
