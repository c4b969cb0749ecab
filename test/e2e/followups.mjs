// From an incident to an improvement, as a person leads it there. What it does
// changes the incident of the tour.

import { assert, check, until } from './check.mjs'
import { settled } from './browser.mjs'
import { accessible } from './pages.mjs'

const section = (page) => page.locator('section', { has: page.getByRole('heading', { name: 'From incident to improvement' }) })
const step = (page, title) => section(page).getByRole('listitem').filter({ has: page.getByRole('heading', { name: title }) })

// followups looks, before anything is changed.
export async function followups(page, url) {
  await check('an incident says what is done for an improvement, and what is next', async () => {
    await page.goto(url + '/incidents/1')
    await settled(page)
    await step(page, 'Quick fix').getByRole('link', { name: 'catalog is back at b1 in production' }).waitFor()
    await step(page, 'A check that catches it').getByText('check catalog/slow-first-byte was CRITICAL, and opened the incident').waitFor()
    await step(page, 'An automated test').getByRole('button', { name: 'Name evidence' }).waitFor()
    assert.match(await section(page).innerText(), /2 of 6 steps\s+on the way/)
    assert.match(await section(page).innerText(), /Next: Write a test that fails on b2 \(git checkout [0-9a-f]{8}\), and push it/)
    await step(page, 'Quick fix').getByRole('link').click()
    await page.waitForURL(/why\?ref=deploy/)
  })
}

export async function followupsChanges(page, url, api, watch) {
  await check('evidence that the journal does not show is refused, and the dialog stays', async () => {
    await page.goto(url + '/incidents/1')
    await step(page, 'An automated test').getByRole('button', { name: 'Name evidence' }).click()
    const dialog = page.getByRole('dialog', { name: 'Evidence: An automated test that fails on it' })
    await dialog.getByLabel('What shows it').fill('run/1/commit')
    await accessible(page)
    await watch.expecting(/409/, async () => {
      await dialog.getByRole('button', { name: 'It is done' }).click()
      await dialog.getByRole('alert').getByText('no such test failed since the incident began').waitFor()
    })
    await dialog.getByLabel('What shows it').fill('https://example.com/tests/4')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'hidden' })
    await step(page, 'An automated test').getByText('given by admin').waitFor()
  })

  await check('by keyboard: a step is confirmed, another waived, and doubted again', async () => {
    await step(page, 'Quick fix').getByRole('button', { name: 'Confirm' }).focus()
    await page.keyboard.press('Enter')
    await step(page, 'Quick fix').getByText('found by Steer, confirmed by admin').waitFor()
    await step(page, 'The test is seen to pass').getByRole('button', { name: 'Waive' }).focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Waive: The test is seen to pass' })
    await dialog.getByLabel('Why').fill('only by hand')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'hidden' })
    await step(page, 'The test is seen to pass').getByText('waived by admin: only by hand').waitFor()
    await step(page, 'An automated test').getByRole('button', { name: 'Doubt' }).click()
    await page.getByRole('dialog').getByLabel('Why').fill('it was another fault')
    await page.getByRole('dialog').getByRole('button', { name: 'It is not so' }).click()
    await step(page, 'An automated test').getByRole('button', { name: 'Name evidence' }).waitFor()
    await accessible(page)
  })

  await check('Incidents: how far each is, and how they ended', async () => {
    await api('/api/v1/incidents/1/waive', { reason: 'the tour ends here' })
    await page.goto(url + '/incidents')
    const row = page.locator('section', { has: page.getByRole('heading', { name: 'Resolved', exact: true }) }).getByRole('row').filter({ hasText: 'catalog in production' })
    await row.getByText('2 of 6 steps, 4 waived').waitFor()
    await page.getByLabel('Improvement').selectOption('came back')
    await page.getByText('None of these.').waitFor()
    await page.getByLabel('Improvement').selectOption('waived')
    await row.waitFor()
    const shares = page.locator('section', { has: page.getByRole('heading', { name: 'Led to an improvement' }) })
    await until('the share is known', async () => /all\s+0 %\s+0\s+0\s+1/.test(await shares.innerText()))
    await accessible(page)
  })
}
