import { get, post, Problem, refused, remove } from './api'
import { live } from './live.svelte'
import type { Role, Session } from './records'

const order: Role[] = ['viewer', 'developer', 'operator', 'admin']

class Login {
  who = $state<Session | null | undefined>(undefined) // undefined: not known yet
  problem = $state('')
  unreachable = $state(false)
  upgraded = $state(false) // the server is another version than when this page was loaded
  private version = ''

  constructor() {
    refused.call = () => {
      if (!this.who) return
      live.stop()
      this.who = null
      this.problem = 'Your session has ended. Log in again; this page stays where it is.'
    }
    live.back(() => void this.check())
  }

  async check() {
    try {
      this.known(await get<Session>('/api/v1/session'))
    } catch (e) {
      const status = e instanceof Problem ? e.status : 0
      if (status === 401) { this.unreachable = false; this.who = null; return }
      if (this.who !== undefined) return // known before: pages show that the server is away
      this.unreachable = true
      setTimeout(() => void this.check(), 2000)
    }
  }

  private known(who: Session) {
    this.upgraded = this.version !== '' && this.version !== who.version
    this.version ||= who.version
    this.unreachable = false
    this.who = who
    live.start()
  }

  async enter(token: string) {
    this.problem = ''
    try {
      this.known(await post<Session>('/api/v1/session', { token }))
    } catch (e) {
      this.problem = (e as Error).message
    }
  }

  async leave() {
    live.stop()
    await remove('/api/v1/session').catch(() => {})
    this.who = null
  }

  // may tells whether the role is held, everywhere or at least in an environment.
  may(role: Role, environment = ''): boolean {
    const enough = (has: Role | undefined) => !!has && order.indexOf(has) >= order.indexOf(role)
    return !!this.who && (enough(this.who.role) || enough(this.who.environments?.[environment]))
  }
}

export const login = new Login()
