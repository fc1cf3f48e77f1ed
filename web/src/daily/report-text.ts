// The report as plain text, as it is pasted into a message.
import { formatDate, formatTime, type Language } from '../format';
import { pick, type TFunction } from '../i18n';
import { organizationText, type DailyReport } from './daily-page';
import { changeText, isWholeDay, valueText } from '../today/indicators';
import { unitText } from '../today/today-page';

export function reportText(report: DailyReport, t: TFunction, language: Language): string {
  const lines = [
    `【${pick(report.title, language) || t('daily.title')}】${formatDate(report.date, language)}`,
    [organizationText(report.organization), t('today.asOf', { time: formatTime(report.asOf, language) })].filter(Boolean).join(' '),
  ];
  const whole = isWholeDay(report.date, report.asOf);
  report.sections.forEach((section, index) => {
    lines.push('', `${index + 1}. ${pick(section.title, language)}`);
    for (const indicator of section.indicators ?? []) {
      const value = indicator.value === null ? t('today.unknown') : `${valueText(indicator)} ${unitText(indicator.unit, language)}`;
      const change = whole && changeText(indicator) !== '—' ? `（${t('today.change', { change: changeText(indicator) })}）` : '';
      lines.push(`${pick(indicator.name, language)}：${value}${change}`);
    }
  });
  return lines.join('\n');
}
