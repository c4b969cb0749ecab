// Drives the web UI of a finished tour as a person would. The last line is
// "N passed, N failed".

import { existsSync } from 'node:fs'
import { assert, check, finish, until } from './check.mjs'
import { executable, openBrowser, settled, Watch } from './browser.mjs'
import { dashboards, dashboardsChanges } from './dashboards.mjs'
import { followups, followupsChanges } from './followups.mjs'
import { hostPages, hosts, noHosts } from './hosts.mjs'
import { many } from './many.mjs'
import { metrics, metricsChanges } from './metrics.mjs'
import { accessible, eachPage } from './pages.mjs'
import { startTour } from './tour.mjs'

if (!executable || !existsSync(executable)) {
  console.log(`skipped: there is no Chromium (${executable ?? 'looked in /usr/bin'}; install the package chromium, or set CHROMIUM)`)
  process.exit(process.env.STEER_REQUIRE_ALL ? 1 : 0)
}

let tour
await check('the tour verifies every step and stays up', async () => { tour = await startTour() })
if (!tour) {
  finish()
  process.exit()
}
const { url, token } = tour
const browser = await openBrowser()
try {
  const watch = new Watch(url)
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } })
  const page = await context.newPage()
  page.setDefaultTimeout(15000)
  watch.page(page)
  const api = async (path, body) => {
    const r = await fetch(url + path, { method: body ? 'POST' : 'GET', headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) })
    assert.ok(r.ok, `${path}: ${r.status} ${await r.clone().text()}`)
    return r.json()
  }

  await check('a wrong token is refused in clear words', async () => {
    await watch.expecting(/401/, async () => {
      await page.goto(url + '/')
      await accessible(page)
      await page.getByLabel('Token').fill('steer_wrong')
      await page.getByRole('button', { name: 'Log in' }).click()
      const alert = page.getByRole('alert')
      await alert.waitFor()
      assert.match(await alert.innerText(), /token is not valid/)
    })
  })

  await check('log in with the token of the tour', async () => {
    await page.getByLabel('Token').fill(token)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('live', { exact: true }).waitFor()
    assert.equal(await page.getByLabel('Token').count(), 0)
  })

  await check('Now: catalog runs b1 in production, and all is well', async () => {
    const card = page.getByRole('article').filter({ has: page.getByRole('heading', { name: 'catalog' }) })
    const production = card.getByRole('listitem').filter({ hasText: 'production' })
    assert.match(await production.innerText(), /b1/)
    assert.match(await production.innerText(), /2\/2 nodes/)
    await page.getByRole('heading', { level: 1, name: 'Everything runs' }).waitFor()
    assert.equal(await page.getByLabel('Open incidents').count(), 0)
    assert.match(await page.locator('.changes').innerText(), /b1/)
  })

  await check('Service: the pipeline shows b1 and b2 in their places, b2 pinned', async () => {
    await page.getByRole('link', { name: 'catalog', exact: true }).click()
    await page.waitForURL('**/services/catalog')
    const table = page.getByRole('table').filter({ hasText: 'commit' }).first()
    const b1 = table.getByRole('row').filter({ has: page.getByText('b1', { exact: true }) }), b2 = table.getByRole('row').filter({ has: page.getByText('b2', { exact: true }) }) // a commit may have b1 in it
    await b1.getByText('serves production').waitFor()
    await b2.getByText('serves ci').waitFor()
    await b2.getByText('pinned').waitFor()
    assert.equal(await b1.getByText('pinned').count(), 0)
    for (const stage of ['commit', 'acceptance', 'production']) await table.getByRole('columnheader', { name: stage }).waitFor()
    await page.getByRole('heading', { name: 'Kept out of latest' }).waitFor()
    await page.getByText('slow-first-byte').first().waitFor()
    const figures = await page.locator('section', { hasText: 'The last 30 days' }).last().innerText()
    assert.match(figures, /Lead time\s+[\d.]+ (ms|s)/)
    assert.match(figures, /Failed\s+\d+ %/)
  })

  await check('Run: stages with their logs', async () => {
    await page.goto(url + '/runs/2?stage=commit')
    await page.getByText('go test').first().waitFor()
    await until('the log shows', async () => /ok\s+catalog/.test(await page.locator('pre.output').innerText()))
  })

  await metrics(page, tour, watch)
  await dashboards(page, tour)
  await noHosts(page, url)

  await check('Incidents: the list, and the incident with its chain', async () => {
    await page.getByRole('link', { name: 'Incidents', exact: true }).click()
    await page.getByText('None is open').waitFor()
    await page.getByRole('row').filter({ hasText: 'catalog in production' }).getByRole('link').click()
    await page.waitForURL('**/incidents/1')
    await page.getByText('resolved').first().waitFor()
    const chain = page.locator('section', { has: page.getByRole('heading', { name: 'The chain' }) })
    await until('the chain tells the story', async () => {
      const text = await chain.innerText()
      return /b2/.test(text) && /b1/.test(text) && /incident/i.test(text)
    })
    assert.ok(await chain.getByRole('listitem').count() >= 6, 'the chain has at least six events')
    await page.locator('section', { has: page.getByRole('heading', { name: 'What changed shortly before' }) }).getByText('b2').first().waitFor()
    await page.locator('.chart canvas').waitFor()
  })

  await check('Incidents: a resolved one cannot be acknowledged', async () => {
    assert.equal(await page.getByRole('button', { name: 'Acknowledge' }).count(), 0)
    assert.equal(await page.getByRole('button', { name: 'Resolve by hand' }).count(), 0)
  })

  await followups(page, url)

  await check('Journal: find and filter', async () => {
    await page.getByRole('link', { name: 'Journal', exact: true }).click()
    await page.locator('tbody tr').first().waitFor()
    const all = await page.locator('tbody tr').count()
    await page.getByLabel('Find in this list').fill('incident')
    await until('fewer lines', async () => { const n = await page.locator('tbody tr').count(); return n > 0 && n < all })
    await page.getByLabel('Find in this list').fill('')
    await page.getByLabel('subject').fill('incident/1')
    await page.getByLabel('subject').press('Enter')
    await page.getByLabel('subject').blur()
    await page.waitForURL(/subject=incident%2F1/)
    await until('only the incident', async () => { const n = await page.locator('tbody tr').count(); return n > 0 && n < all })
    await page.locator('tbody summary').first().click()
    await page.locator('tbody pre').first().getByText('incident/1').first().waitFor()
  })

  await check('Signs: figures open what they were made from, hours show their changes, and the address keeps the choice', async () => {
    await page.goto(url + '/hosts')
    await page.getByRole('link', { name: 'Signs' }).click()
    const failures = page.getByRole('region', { name: 'Failures and repairs' })
    const all = failures.getByRole('button', { name: 'everything' })
    await all.waitFor()
    await all.focus()
    await page.keyboard.press('Enter')
    await failures.getByRole('link', { name: /slow-first-byte/ }).first().waitFor()
    await page.getByRole('region', { name: 'Deployed and rebuilt' }).getByRole('row').filter({ hasText: 'catalog' }).first().waitFor()
    const hour = page.getByRole('region', { name: 'Changes by weekday and hour' }).getByRole('button').first()
    await hour.click()
    await page.getByRole('status').filter({ hasText: /:00: / }).getByRole('link').first().waitFor()
    await accessible(page)
    await page.getByRole('button', { name: '7 days' }).click()
    await page.getByLabel('Environment').selectOption('production')
    await page.waitForURL(/days=7&environment=production/)
    await page.reload()
    await failures.getByRole('button', { name: 'everything' }).click()
    await failures.getByRole('link', { name: /slow-first-byte/ }).first().click()
    await page.waitForURL(/incidents\/\d+/)
  })

  await check('the deploy dialog asks, and Escape leaves it', async () => {
    await page.goto(url + '/services/catalog')
    await page.getByRole('button', { name: 'Deploy …' }).click()
    const dialog = page.getByRole('dialog', { name: 'Deploy catalog' })
    await dialog.waitFor()
    assert.equal(await dialog.getByLabel('Environment').inputValue(), 'production')
    await page.setViewportSize({ width: 390, height: 844 })
    assert.equal(await dialog.evaluate((d) => d.scrollWidth > d.clientWidth), false, 'the dialog is wider than a phone')
    await page.setViewportSize({ width: 1280, height: 860 })
    await accessible(page)
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
  })

  await check('a deep link works after a reload, and an unknown address says so', async () => {
    await page.goto(url + '/incidents/1')
    await page.reload()
    await page.getByRole('heading', { name: 'The chain' }).waitFor()
    await page.goto(url + '/no/such/page')
    await page.getByText('There is no page at this address').waitFor()
    await watch.expecting(/404/, async () => {
      await page.goto(url + '/incidents/999')
      assert.match(await page.getByRole('alert').innerText(), /Not found.*incident 999/s)
      await settled(page) // its chain is not there either
    })
  })

  await check('the keyboard reaches the content and the pages', async () => {
    await page.goto(url + '/')
    await settled(page)
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'To the content')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Now')
  })

  await check('the theme can be switched and stays', async () => {
    const theme = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)
    const before = await theme()
    await page.getByRole('button', { name: 'Switch between light and dark' }).click()
    assert.notEqual(await theme(), before)
    await page.reload()
    await settled(page)
    assert.notEqual(await theme(), before)
  })

  await check('first paint comes within a second', async () => {
    await page.goto(url + '/')
    await settled(page)
    const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime)
    assert.ok(paint < 1000, `first paint after ${paint} ms`)
  })

  const fresh = await browser.newContext()
  const login = await fresh.newPage()
  await login.goto(url + '/')
  await login.getByLabel('Token').fill(token)
  await login.getByRole('button', { name: 'Log in' }).click()
  await login.getByText('live', { exact: true }).waitFor()
  await eachPage(browser, url, await fresh.storageState(), watch)

  // What follows changes things, so it comes after the pictures.
  await check('the pages are live: what happens shows without a reload', async () => {
    await page.goto(url + '/services/catalog')
    await page.getByRole('heading', { name: 'Kept out of latest' }).waitFor()
    await page.evaluate(() => { window.sameDocument = true })
    const start = Date.now()
    await api('/api/v1/pins', { service: 'catalog', version: 'b1', reason: 'to see it appear' })
    await page.getByText('to see it appear').first().waitFor({ timeout: 3000 })
    const took = Date.now() - start
    await api('/api/v1/unpins', { service: 'catalog', version: 'b1' })
    await page.locator('section', { has: page.getByRole('heading', { name: 'Kept out of latest' }) }).getByText('to see it appear').waitFor({ state: 'detached', timeout: 3000 })
    assert.equal(await page.evaluate(() => window.sameDocument), true)
    assert.ok(took < 2000, `it took ${took} ms to appear`)
  })

  await check('a person changes something: pin taken away and set again', async () => {
    const kept = page.locator('section', { has: page.getByRole('heading', { name: 'Kept out of latest' }) })
    const reason = (await api('/api/v1/services/catalog')).pins.find((p) => p.version === 'b2').reason
    await kept.getByRole('button', { name: 'Allow again: b2' }).click()
    const dialog = page.getByRole('dialog', { name: 'Allow b2 again' })
    await accessible(page)
    await dialog.getByRole('button', { name: 'Allow' }).click()
    await until('the server knows', async () => (await api('/api/v1/services/catalog')).pins.length === 0)
    await page.getByRole('heading', { name: 'Kept out of latest' }).waitFor({ state: 'detached' })
    await api('/api/v1/pins', { service: 'catalog', version: 'b2', reason })
    await page.getByRole('heading', { name: 'Kept out of latest' }).waitFor()
  })

  const made = await hosts(page, url, api, watch)
  if (made) {
    await eachPage(browser, url, await fresh.storageState(), watch, hostPages)
    await many(browser, url, await fresh.storageState(), watch)
    await made.end()
  }

  await followupsChanges(page, url, api, watch)
  await metricsChanges(page, url, api)
  await dashboardsChanges(page, url, api, watch)

  await check('log out ends the session', async () => {
    await page.getByRole('button', { name: 'Log out' }).click()
    await watch.expecting(/401/, async () => {
      await page.getByLabel('Token').waitFor()
      await page.reload()
      await page.getByLabel('Token').waitFor()
    })
  })

  await check('nothing else went wrong: console, requests to others, server errors', () => assert.deepEqual(watch.trouble, []))
} finally {
  await browser.close()
}

await check('Ctrl-C ends the tour, and nothing is left', async () => {
  assert.equal(await tour.stop(), 0)
  await assert.rejects(fetch(url + '/healthz'))
  assert.ok(!existsSync(tour.data), `${tour.data} is still there`)
})
finish()
