// Dashboards, as a person works with them.

import { assert, check, until } from './check.mjs'
import { accessible } from './pages.mjs'

const metric = 'stats.timers.catalog.production.ttfb.upper_90'

export async function dashboards(page, { url }) {
  await check('Dashboards: the list, and one with its panels over one time', async () => {
    await page.goto(url + '/')
    await page.getByRole('link', { name: 'Dashboards', exact: true }).click()
    await page.getByRole('link', { name: 'Steer itself' }).click()
    await page.waitForURL('**/dashboards/steer')
    const panel = (name) => page.getByRole('region', { name, exact: true })
    await panel('Memory').locator('.chart canvas').waitFor()
    await until('a number shows', async () => /\d/.test(await panel('Points received').locator('.number').first().innerText()))
    await until('the table has figures', async () => (await panel('All figures of the store').locator('tbody tr').count()) > 3)
    assert.match(await panel('Memory').innerText(), /[\d.]+ MiB/)
    await page.getByRole('button', { name: '5 min', exact: true }).click()
    await page.waitForURL(/from=-5min/)
    // A part of one chart is the time of all.
    await until('the chart is there for the new time', async () => { await panel('Memory').locator('.u-over').scrollIntoViewIfNeeded({ timeout: 500 }); return true })
    const over = await panel('Memory').locator('.u-over').boundingBox()
    await page.mouse.move(over.x + over.width * 0.5, over.y + 40)
    await page.mouse.down()
    await page.mouse.move(over.x + over.width * 0.9, over.y + 50, { steps: 5 })
    await page.mouse.up()
    await page.waitForURL(/from=\d{10}&until=\d{10}/)
    await page.goBack()
    await page.waitForURL(/from=-5min/)
    // The keyboard does it too: the range, and from a panel to the page Metrics.
    await page.getByRole('button', { name: '15 min', exact: true }).focus()
    await page.keyboard.press('Enter')
    await page.waitForURL(/from=-15min/)
    await panel('Memory').getByRole('link').focus()
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/explore\?/)
    await until('both targets are there', async () => (await page.locator('textarea').count()) === 2)
    assert.equal(new URL(page.url()).searchParams.get('from'), '-15min')
  })
}

// dashboardsChanges is what changes the definitions.
export async function dashboardsChanges(page, url, api, watch) {
  const add = page.getByRole('dialog', { name: 'Add to dashboard' })
  const open = async (address) => {
    await page.goto(url + address)
    await page.locator('.chart canvas').waitFor()
    await page.getByRole('button', { name: 'Add to dashboard' }).click()
    await add.waitFor()
  }

  await check('Dashboards: a chart is added to a new one, and a second to that', async () => {
    await open(`/explore?target=${metric}&from=-15min&bound=300&title=First+byte`)
    await add.getByLabel(/^\s*Dashboard/).selectOption('a new one …')
    assert.equal(await add.getByRole('button', { name: 'Add', exact: true }).isDisabled(), true)
    await add.getByLabel('Title of the dashboard').fill('The shop, live')
    await add.getByText('dashboards/the-shop-live.yaml').waitFor()
    await accessible(page)
    await page.keyboard.press('Enter')
    await add.getByText(/^Committed, revision/).waitFor()
    await add.getByRole('link', { name: 'Look at the dashboard' }).click()
    await page.waitForURL('**/dashboards/the-shop-live')
    await page.getByRole('region', { name: 'First byte', exact: true }).locator('.chart canvas').waitFor()

    await open(`/explore?target=${metric}&from=-15min`)
    await add.getByLabel(/^\s*Dashboard/).selectOption('The shop, live')
    await add.getByLabel('Shown as').selectOption('the newest values')
    await add.getByLabel('Width').selectOption('a third')
    await add.getByRole('button', { name: 'Add', exact: true }).click()
    await add.getByText(/^Committed, revision/).waitFor()
    const { files } = await api('/api/v1/definitions')
    assert.equal(files['dashboards/the-shop-live.yaml'], `title: "The shop, live"\npanels:\n  - title: "First byte"\n    targets:\n      - ${metric}\n    thresholds:\n      - {above: 300}\n  - kind: value\n    width: 4\n    targets:\n      - ${metric}\n`)
  })

  await check('Dashboards: one that is open shows a change by itself, and a wrong target at its panel', async () => {
    await page.goto(url + '/dashboards/the-shop-live')
    await page.getByRole('region', { name: metric, exact: true }).locator('.number').waitFor()
    await page.evaluate(() => { window.sameDocument = true })
    await api('/api/v1/dashboards/the-shop-live/panels', { panel: { title: 'Added meanwhile', kind: 'table', targets: [metric, `${metric}.nothing`] } })
    await page.getByRole('region', { name: 'Added meanwhile', exact: true }).locator('tbody tr').first().waitFor({ timeout: 5000 })
    assert.equal(await page.evaluate(() => window.sameDocument), true)
    await watch.expecting(/404/, async () => {
      await page.goto(url + '/dashboards/none')
      assert.match(await page.getByRole('alert').innerText(), /Not found.*no dashboard "none"/s)
    })
  })
}
