// The report as plain text, as it is pasted into a message.
import type { TFunction } from 'i18next';
import { formatDate, formatNumber, formatTime, type Language } from '../format';
import { pick } from '../i18n';
import { organizationText, type DailyReport } from './daily-page';
import { unitText } from '../today/today-page';

export function reportText(report: DailyReport, t: TFunction, language: Language): string {
  const lines = [
    `【${pick(report.title, language) || t('daily.title')}】${formatDate(report.date, language)}`,
    [organizationText(report.organization), t('today.asOf', { time: formatTime(report.asOf, language) })].filter(Boolean).join(' '),
  ];
  report.sections.forEach((section, index) => {
    lines.push('', `${index + 1}. ${pick(section.title, language)}`);
    for (const indicator of section.indicators ?? []) {
      lines.push(`${pick(indicator.name, language)}：${formatNumber(indicator.value)}${indicator.value === null ? '' : ` ${unitText(indicator.unit, language)}`}`);
    }
  });
  return lines.join('\n');
}
