import { get, post, Problem, remove } from './api'
import { live } from './live.svelte'
import type { Session } from './records'

const order = ['viewer', 'developer', 'operator', 'admin']

class Login {
  who = $state<Session | null | undefined>(undefined) // undefined: not known yet
  problem = $state('')

  async check() {
    try {
      this.who = await get<Session>('/api/v1/session')
      live.start()
    } catch (e) {
      this.who = null
      if (e instanceof Problem && e.status !== 401) this.problem = e.message
    }
  }

  async enter(token: string) {
    this.problem = ''
    try {
      this.who = await post<Session>('/api/v1/session', { token })
      live.start()
    } catch (e) {
      this.problem = (e as Error).message
    }
  }

  async leave() {
    live.stop()
    await remove('/api/v1/session').catch(() => {})
    this.who = null
  }

  /** Whether one has a role everywhere, or at least in an environment. */
  may(role: string, environment = ''): boolean {
    const enough = (has = '') => order.indexOf(has) >= order.indexOf(role)
    return !!this.who && (enough(this.who.role) || enough(this.who.environments?.[environment]))
  }
}

export const login = new Login()
