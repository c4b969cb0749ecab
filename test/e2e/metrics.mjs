// The page Metrics, as a person works with it.

import { createSocket } from 'node:dgram'
import { assert, check, until } from './check.mjs'
import { collectd, startCollectd } from './collectd.mjs'
import { accessible } from './pages.mjs'

const metric = 'stats.timers.catalog.production.ttfb.upper_90'
const other = 'stats.timers.catalog.production.ttfb.mean'

export async function metrics(page, tour, watch) {
  const { url } = tour
  const target = (n = 0) => page.locator('textarea').nth(n)
  const find = page.getByLabel('Find', { exact: true })
  const canvas = page.locator('.chart canvas')
  const legend = page.getByRole('region', { name: 'Legend' })
  const lines = legend.locator('tbody tr')
  const newest = (n = 0) => lines.nth(n).locator('td').nth(1).innerText()
  const more = async (n, name) => {
    await page.locator('summary', { hasText: 'More' }).nth(n).click()
    await page.getByRole('button', { name, exact: true }).filter({ visible: true }).click()
  }

  await check('Metrics: find a name, plot it, with deploys marked', async () => {
    await page.getByRole('link', { name: 'Metrics', exact: true }).click()
    await find.fill('catalog production ttfb upper_90')
    await page.getByRole('button', { name: metric, exact: true }).click()
    await page.getByRole('img', { name: new RegExp(metric.replaceAll('.', '\\.')) }).locator('canvas').waitFor()
    await page.getByRole('button', { name: '5 min', exact: true }).click()
    await page.waitForURL(/from=-5min/)
    assert.equal(await page.getByRole('button', { name: '5 min', exact: true }).getAttribute('aria-pressed'), 'true')
    await canvas.waitFor()
    await page.waitForTimeout(400)
    const box = await canvas.boundingBox()
    assert.ok(box && box.width > 300 && box.height > 150, `canvas of ${box?.width}×${box?.height}`)
    // The marks are painted, so they are looked for by the colour of an incident.
    const red = () => canvas.evaluate((c) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] > 150 && d[i + 1] < 80 && d[i + 2] < 80 && d[i + 3] > 200; return n })
    await until('the incident is marked', async () => (await red()) > 50)
    await page.getByText('Chart options').click()
    await page.getByLabel('deploys and incidents').uncheck()
    await until('the marks are gone', async () => (await red()) === 0)
    await page.getByLabel('deploys and incidents').check()
    await until('the marks are back', async () => (await red()) > 50)
    // The legend tells the newest value, and under the pointer that one.
    assert.match(await newest(), /^[\d.]+ (ms|s)$/)
    await canvas.scrollIntoViewIfNeeded()
    const seen = await canvas.boundingBox()
    await page.mouse.move(seen.x + seen.width * 0.9, seen.y + seen.height / 2)
    await until('the legend follows the pointer', async () => /Series at .*\d/.test(await legend.innerText()))
    await page.mouse.move(5, 5)
    await until('the legend tells the newest value again', async () => !/Series at/.test(await legend.innerText()))
  })

  await check('Metrics: type a name with completion', async () => {
    await page.goto(url + '/explore')
    await target().click()
    await target().pressSequentially('stats.tim')
    const offered = page.getByRole('option', { name: 'stats.timers.', exact: true })
    await offered.waitFor()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    assert.equal(await target().inputValue(), 'stats.timers.')
    await page.keyboard.type('catalog.production.ttfb.upper_9')
    await page.getByRole('option', { name: metric, exact: true }).waitFor()
    await accessible(page)
    await page.keyboard.press('Tab')
    assert.equal(await target().inputValue(), metric)
    assert.equal(await canvas.count(), 0) // what is being written is not asked for yet
    await page.keyboard.press('Enter')
    await canvas.waitFor()
    assert.equal(new URL(page.url()).searchParams.get('target'), metric)
  })

  await check('Metrics: put a function around it, chosen from its documentation', async () => {
    await page.getByRole('button', { name: 'Function', exact: true }).click()
    const dialog = page.getByRole('dialog', { name: 'Functions' })
    await dialog.getByLabel('Find a function').fill('mean window')
    await dialog.getByRole('button', { name: /^movingAverage/ }).click()
    await dialog.getByText(/mean of the window/).last().waitFor()
    await accessible(page)
    await dialog.getByRole('button', { name: 'Apply' }).click() // windowSize is needed
    await dialog.getByText('windowSize is needed').waitFor()
    await dialog.getByLabel('windowSize').fill('1min')
    await dialog.getByRole('button', { name: 'Apply' }).click()
    await dialog.waitFor({ state: 'hidden' })
    assert.equal(await target().inputValue(), `movingAverage(${metric},"1min")`)
    await until('its line is drawn', async () => /movingAverage/.test(await lines.first().innerText()))
    assert.match(await newest(), /^[\d.]+ (ms|s)$/)
  })

  await check('Metrics: a second target; hide, duplicate, move, put on the right axis, remove', async () => {
    await page.getByRole('button', { name: '+ Add a target' }).click()
    await until('it has the focus', () => target(1).evaluate((e) => e === document.activeElement))
    await page.keyboard.type(other)
    await page.keyboard.press('Enter')
    await until('both are drawn', async () => (await lines.count()) === 2)
    await more(0, 'Hide')
    await page.waitForURL(/hide=1/)
    await until('one is drawn', async () => (await lines.count()) === 1 && /mean/.test(await lines.innerText()))
    await more(0, 'Show')
    await more(1, 'Duplicate')
    await until('three are drawn', async () => (await lines.count()) === 3)
    await more(2, 'Right axis')
    await until('one is on the right', async () => (await target(2).inputValue()) === `secondYAxis(${other})`)
    await more(2, 'Move up')
    assert.equal(await target(1).inputValue(), `secondYAxis(${other})`)
    await page.getByRole('button', { name: `Remove ${other}`, exact: true }).click()
    await until('two are left', async () => (await lines.count()) === 2)
    assert.deepEqual(new URL(page.url()).searchParams.getAll('target'), [`movingAverage(${metric},"1min")`, `secondYAxis(${other})`])
    await page.goBack()
    await until('the browser goes back to three', async () => (await lines.count()) === 3)
    await page.goForward()
    await until('and forth', async () => (await lines.count()) === 2)
  })

  await check('Metrics: the address opens the same view again', async () => {
    await page.getByText('Chart options').click()
    await page.getByLabel('Title').fill('Time to first byte')
    await page.getByLabel('Highest').fill('900')
    await page.getByLabel('Drawn as').selectOption('stacked')
    await page.getByLabel('Missing values').selectOption('connected')
    await page.getByLabel('From').fill('now-10min')
    await page.getByLabel('From').press('Enter')
    await page.waitForURL(/from=now-10min/)
    await page.getByLabel('Refresh').selectOption('30 s')
    await page.waitForURL(/refresh=30/)
    const shared = await page.context().newPage()
    watch.page(shared)
    await shared.goto(page.url())
    await shared.locator('.chart canvas').waitFor()
    await shared.getByText('Chart options').click()
    const state = async (p) => ({
      targets: await p.locator('textarea').evaluateAll((all) => all.map((e) => e.value)),
      from: await p.getByLabel('From').inputValue(), title: await p.getByLabel('Title').inputValue(), heading: await p.getByRole('heading', { name: 'Time to first byte' }).count(),
      highest: await p.getByLabel('Highest').inputValue(), area: await p.getByLabel('Drawn as').inputValue(), nulls: await p.getByLabel('Missing values').inputValue(),
      refresh: await p.getByLabel('Refresh').evaluate((e) => e.selectedOptions[0].text), series: await p.getByRole('region', { name: 'Legend' }).locator('tbody tr').count(),
    })
    assert.deepEqual(await state(shared), await state(page))
    assert.equal((await state(shared)).heading, 1)
    await shared.close()
    // The same view as files.
    for (const [form, type] of [['PNG', 'image/png'], ['SVG', 'image/svg+xml'], ['CSV', 'text/csv'], ['JSON', 'application/json']]) {
      const href = await page.locator('a', { hasText: new RegExp(`^${form}$`) }).getAttribute('href')
      const answer = await page.request.get(url + href)
      assert.equal(answer.status(), 200, href)
      assert.equal(answer.headers()['content-type'], type)
    }
  })

  await check('Metrics: a wrong target is explained at its place, and the others are drawn', async () => {
    await watch.expecting(/400/, async () => {
      await page.goto(`${url}/explore?target=${metric}&from=-15min`)
      await canvas.waitFor()
      await page.getByRole('button', { name: '+ Add a target' }).click()
      await page.keyboard.type('movingAverage(sumSerie(stats.*),5)')
      await page.keyboard.press('Enter')
      const alert = page.getByRole('alert')
      await alert.waitFor()
      assert.match(await alert.innerText(), /unknown function sumSerie.*sumSeries/s)
      assert.equal(await alert.locator('mark').innerText(), 's')
      assert.equal(await alert.locator('code').innerText(), 'movingAverage(sumSerie(stats.*),5)')
      await alert.getByRole('button', { name: 'Go to character 15' }).click()
      assert.deepEqual(await target(1).evaluate((e) => [e === document.activeElement, e.selectionStart]), [true, 14])
      assert.equal(await lines.count(), 1)
      await accessible(page)
      await target(1).fill('movingAverage(sumSeries(stats.nothing.*),5)')
      await page.keyboard.press('Enter')
      await alert.waitFor({ state: 'detached' })
      // A wrong time is told too, and what is drawn stays.
      await page.getByLabel('From').fill('-5m')
      await page.getByLabel('From').press('Enter')
      await alert.waitFor()
      assert.match(await alert.innerText(), /unknown unit "m"/)
      await page.getByRole('button', { name: '15 min', exact: true }).click()
      await alert.waitFor({ state: 'detached' })
    })
  })

  await check('Metrics: drag to see a part closer, and wider again', async () => {
    await canvas.scrollIntoViewIfNeeded()
    const over = await page.locator('.chart .u-over').boundingBox()
    await page.mouse.move(over.x + over.width * 0.5, over.y + 50)
    await page.mouse.down()
    await page.mouse.move(over.x + over.width * 0.75, over.y + 60, { steps: 5 })
    await page.mouse.up()
    await page.waitForURL(/from=\d{10}&until=\d{10}/)
    const part = () => { const q = new URL(page.url()).searchParams; return Number(q.get('until')) - Number(q.get('from')) }
    assert.ok(Math.abs(part() - 225) < 10, `${part()} s of 900`)
    const before = part()
    await page.getByRole('button', { name: 'Wider' }).click()
    await until('it is twice as long', () => Math.abs(part() - 2 * before) < 3)
  })

  await check('Metrics: the tree has this machine and Steer itself, and the arrow keys walk in it', async () => {
    await page.goto(url + '/explore')
    for (const name of ['servers', 'stats', 'steer']) await page.getByRole('button', { name, exact: true }).waitFor()
    await page.getByRole('button', { name: 'steer', exact: true }).focus()
    await page.keyboard.press('ArrowRight')
    await page.getByRole('button', { name: 'store', exact: true }).waitFor()
    await page.keyboard.press('ArrowDown')
    assert.equal(await page.evaluate(() => document.activeElement.closest('aside') !== null && document.activeElement.textContent !== 'steer'), true)
    await page.getByRole('button', { name: 'steer', exact: true }).focus()
    await page.keyboard.press('ArrowLeft')
    await page.getByRole('button', { name: 'store', exact: true }).waitFor({ state: 'detached' })
  })

  if (collectd || process.env.STEER_REQUIRE_ALL) {
    await check('Metrics: what collectd sends is in the tree, and can be plotted', async () => {
      assert.ok(collectd, 'collectd is not installed')
      const stop = startCollectd(tour.graphite)
      try {
        await until('it has sent something', async () => (await (await fetch(`${url}/metrics/find?query=collectd.box.load.*`)).json()).length > 0)
        await page.goto(url + '/explore')
        for (const name of ['collectd', 'box', 'load']) await page.getByRole('button', { name, exact: true }).click()
        await page.getByRole('button', { name: 'load', exact: true }).nth(1).click()
        await page.getByRole('button', { name: 'shortterm', exact: true }).click()
        await canvas.waitFor()
      } finally { await stop() }
    })
  } else console.log('skipped: collectd is not installed (package collectd-core)')

  await check('Metrics: what a program sends to StatsD is found by its name', async () => {
    const socket = createSocket('udp4')
    const [host, port] = tour.statsd.split(':')
    const send = () => new Promise((r) => socket.send('e2e.orders:3|c\ne2e.checkout:120|ms', Number(port), host, r))
    await until('it can be asked for', async () => { await send(); return (await (await fetch(`${url}/metrics/find?query=stats.timers.e2e.checkout.*`)).json()).length > 0 })
    socket.close()
    await page.goto(url + '/explore')
    await find.fill('e2e checkout mean')
    await page.getByRole('button', { name: 'stats.timers.e2e.checkout.mean', exact: true }).click()
    await until('its value shows', async () => (await newest()).startsWith('120'))
  })
}

// metricsChanges is what changes the definitions.
export async function metricsChanges(page, url, api) {
  await check('Metrics: a chart becomes a check, committed to the definitions', async () => {
    await page.goto(`${url}/explore?target=${metric}&from=-15min`)
    await page.locator('.chart canvas').waitFor()
    await page.locator('summary', { hasText: 'More' }).click()
    await page.getByRole('button', { name: 'Use as a check', exact: true }).click()
    const dialog = page.getByRole('dialog', { name: 'Use as a check' })
    const yaml = dialog.locator('pre')
    await until('it knows what the target is about', async () => /service: catalog\n\s+environment: production/.test(await yaml.innerText()))
    assert.match(await yaml.innerText(), new RegExp(`^- name: ttfb-upper-90\\n[^]*query: ${metric.replaceAll('.', '\\.')}\\n\\s+above: \\d`))
    await accessible(page)
    await dialog.getByLabel('Critical above').fill('0.001')
    await dialog.getByLabel('Critical above').blur()
    await dialog.getByText(/would have been critical/).waitFor()
    await dialog.getByLabel('Critical above').fill('100000')
    await dialog.getByLabel('Name').fill('e2e-check')
    await dialog.getByRole('button', { name: 'Commit' }).click()
    await dialog.getByText('Committed as checks/e2e-check.yaml').waitFor()
    const now = await api('/api/v1/definitions')
    assert.match(now.files['checks/e2e-check.yaml'], /above: 100000\n/)
    await until('it is compared', async () => (await api('/api/v1/checks')).some((c) => c.check.name === 'e2e-check'))
    await dialog.getByRole('button', { name: 'Close' }).click()
    await api('/api/v1/definitions', { base: now.revision, message: 'Without the check of the test', files: { 'checks/e2e-check.yaml': null } })
    await until('it is gone', async () => !(await api('/api/v1/checks')).some((c) => c.check.name === 'e2e-check'))
  })
}
