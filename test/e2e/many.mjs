// The pages with much on them, and with long names: answers of the real server, many
// times over.

import { assert, check, until } from './check.mjs'
import { settled } from './browser.mjs'
import { accessible, phone, sticksOut } from './pages.mjs'

const long = 'checkout-and-payment-gateway-europe-west-production'
const name = (i) => `${i % 3 ? 'node' : long}-${String(i).padStart(4, '0')}.internal.example.com`
const states = ['converged', 'drifted', 'failed', 'unreachable', 'waiting', 'stopped']
const phases = ['done', 'done', 'asking', 'failed', 'canary', 'planning']
const person = 'alexandra.long-surname@example.com'
const times = (n, f) => Array.from({ length: n }, (_, i) => f(i))

const fleet = (o) => ({
  ...o,
  hosts: times(1500, (i) => ({ ...o.hosts[0], name: name(i), group: `${i % 2 ? 'group' : long}-${i % 75}`, state: states[i % states.length], error: i % 3 ? '' : `apply file:/etc/${long}.conf: no such upstream` })),
  groups: times(75, (i) => ({ ...o.groups[0], name: `${i % 2 ? 'group' : long}-${i}`, phase: phases[i % phases.length] })),
  pauses: times(30, (i) => ({ scope: 'host', name: name(i), person, reason: 'the vendor looks at it', since: '2026-01-02T03:04:05Z' })),
})
const incidents = (list, n, state) => times(n, (i) => ({ ...list[0], id: 1000 - i, title: `${long}: errors-of-authorisations is CRITICAL`, service: long, acked_by: person, state }))

export async function many(browser, url, state, watch) {
  const context = await browser.newContext({ storageState: state, ...phone })
  const page = await context.newPage()
  watch.page(page)
  const answer = (glob, f) => page.route(glob, async (route) => {
    const r = await route.fetch()
    await route.fulfill({ response: r, json: f(await r.json(), new URL(route.request().url())) })
  })
  await answer('**/api/v1/fleet', fleet)
  await answer('**/api/v1/incidents?*', (list, at) => (at.searchParams.get('open') ? incidents(list, 37, 'open') : [...incidents(list, 37, 'open'), ...incidents(list, 163, 'resolved').map((x) => ({ ...x, id: x.id - 37 }))]))
  await answer('**/api/v1/now', (n) => ({ ...n, incidents: incidents(n.incidents.length ? n.incidents : [{}], 37, 'open') }))

  const fits = async (path, most) => {
    await page.goto(url + path)
    await settled(page)
    assert.deepEqual(await sticksOut(page), [])
    const height = await page.evaluate(() => document.documentElement.scrollHeight)
    assert.ok(height < most, `${path} is ${height} px long`)
    await accessible(page)
  }
  await check('1,500 hosts in 75 groups: what needs somebody is first, and the rest when asked for', async () => {
    await fits('/hosts', 50000)
    const groups = page.getByRole('region', { name: 'Groups' })
    assert.equal(await groups.getByText('done', { exact: true }).count(), 0)
    const cards = groups.getByRole('article')
    assert.equal(await cards.count(), 12)
    await page.getByRole('button', { name: '63 more groups' }).click()
    await until('all are there', async () => (await cards.count()) === 75)
    await page.getByRole('button', { name: '27 more pauses' }).waitFor()
    await page.getByRole('heading', { name: '1500 hosts' }).waitFor()
  })
  await check('200 incidents: the first, and the rest when asked for; Now keeps the services in sight', async () => {
    await fits('/incidents', 40000)
    const rows = page.getByRole('group', { name: 'Open incidents' }).locator('tbody tr')
    assert.equal(await rows.count(), 25)
    await page.getByRole('button', { name: '12 more', exact: true }).first().click()
    await until('all open ones are there', async () => (await rows.count()) === 37)
    await fits('/', 10000)
    await page.getByRole('link', { name: '32 more open incidents' }).waitFor()
  })
  await context.close()
}
