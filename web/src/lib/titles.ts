// What a page is called, in the browser's tab.

export function title(parts: string[], query: URLSearchParams): string {
  const [page, name] = parts
  switch (page) {
    case undefined: return 'Now'
    case 'services': return name ?? 'Services'
    case 'runs': return `Run ${name ?? ''}`.trim()
    case 'incidents': return name ? `Incident ${name}` : 'Incidents'
    case 'explore': { const about = query.get('title') || query.get('target'); return about ? `${about} · Metrics` : 'Metrics' }
    case 'dashboards': return name ? `${name} · Dashboards` : 'Dashboards'
    case 'hosts':
      if (name === 'tonight') return 'Tonight · Hosts'
      if (name === 'signs') return 'Signs · Hosts'
      if (name === 'visits' && parts[2]) return `Visit ${parts[2]} · Hosts`
      if (name === 'groups' && parts[2]) return `${parts[2]} · Hosts`
      return name ? `${name} · Hosts` : 'Hosts'
    case 'roles': return name ? `${name} · Roles` : 'Roles'
    case 'journal': return 'Journal'
    case 'why': return `Why ${refName(query.get('ref') ?? '')}`
    default: return 'No such page'
  }
}

// refName is a subject as it is spoken: incident/7 is "incident 7", a version
// keeps its service.
export function refName(ref: string): string {
  const [kind = '', ...rest] = ref.split('/')
  const name = rest.join('/')
  if (!name) return /^[0-9a-f]{40}$/.test(ref) ? `commit ${ref.slice(0, 8)}` : ref
  if (kind === 'commit') return `commit ${name.slice(0, 8)}`
  if (kind === 'version' || kind === 'artifact') return name.replace('/', ' ')
  return `${kind} ${name.replace('/', ' ')}`
}

// segments are the parts of a path; a broken escape stays as it is.
export function segments(path: string): string[] {
  return path.split('/').filter(Boolean).map((p) => { try { return decodeURIComponent(p) } catch { return p } })
}
