import type { Event } from './records'

// troubled is the page about what an incident that no check opened is about: its
// name begins with the host or the group.
export function troubled(check: string): { name: string; href: string } | undefined {
  const [, kind, name = ''] = /^(host|group|drift|rebuild|erosion)\/([^/]+)/.exec(check) ?? []
  if (!kind) return undefined
  return { name, href: (kind === 'group' || kind === 'rebuild' ? '/hosts/groups/' : '/hosts/') + encodeURIComponent(name) }
}

// link is the page about what an event is about.
export function link(e: Event): string {
  const [kind = '', ...rest] = e.subject.split('/')
  const name = rest.join('/')
  switch (kind) {
    case 'incident': return `/incidents/${name}`
    case 'run': return `/runs/${name}`
    case 'deploy': case 'artifact': case 'version': case 'commit':
      return e.chainid ? `/why?ref=${encodeURIComponent(e.subject)}` : '/journal'
    case 'host': return `/hosts/${encodeURIComponent(name)}`
    case 'hosts': return '/hosts'
    case 'visit': return `/hosts/visits/${name}`
    case 'group': return `/hosts/groups/${encodeURIComponent(name)}`
    case 'role': return `/roles/${encodeURIComponent(name)}`
    case 'check': return e.service ? `/services/${e.service}` : '/journal'
    default: return `/journal?subject=${encodeURIComponent(e.subject)}`
  }
}
