// The figures of a measurement: both lungs and each side, then the six zones; what limits it; the slice to look at first.
// One Observation is one measure; its own value is that of both lungs, its components are the regions.
import { AimOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import type { CodeableConcept, Observation, ObservationComponent } from '../fhir-types';
import { formatFixed, formatNumber } from '../format';
import { useTranslation } from '../i18n';
import { textOf } from '../names';

interface Figure { value: number; unit: string }
interface Measure { code: string; label: string; unit: string; at: Map<string, Figure> }

const SIDES = ['both-lungs', 'right-lung', 'left-lung'];
const ZONES = ['right-upper-zone', 'right-middle-zone', 'right-lower-zone', 'left-upper-zone', 'left-middle-zone', 'left-lower-zone'];
const NOTE = 'measurement-note';
const KEY_SLICE = 'key-slice';

const codeText = (concept: CodeableConcept | undefined): string => concept?.coding?.[0]?.code ?? '';

function figureOf(holder: Observation | ObservationComponent): Figure | undefined {
  if (holder.valueQuantity?.value !== undefined) return { value: holder.valueQuantity.value, unit: holder.valueQuantity.unit ?? '' };
  return holder.valueInteger !== undefined ? { value: holder.valueInteger, unit: '' } : undefined;
}

export function measuresOf(observations: Observation[]): Measure[] {
  return observations
    .filter((observation) => codeText(observation.code) !== NOTE && codeText(observation.code) !== KEY_SLICE)
    .map((observation) => {
      const at = new Map<string, Figure>();
      const own = figureOf(observation);
      if (own) at.set('both-lungs', own);
      for (const part of observation.component ?? []) {
        const figure = figureOf(part);
        if (figure) at.set(codeText(part.code), figure);
      }
      return { code: codeText(observation.code), label: textOf(observation.code), unit: [...at.values()][0]?.unit ?? '', at };
    });
}

interface TableProps { observations: Observation[]; onSlice?: (sliceUid: string) => void }

export function MeasurementTable({ observations, onSlice }: TableProps) {
  const { t } = useTranslation();
  const measures = measuresOf(observations);
  const notes = observations.filter((observation) => codeText(observation.code) === NOTE).flatMap((observation) => observation.component ?? []);
  const keySlice = observations.find((observation) => codeText(observation.code) === KEY_SLICE)?.valueString;
  return (
    <>
      {keySlice && onSlice ? (
        <div><Button size="small" icon={<AimOutlined />} onClick={() => onSlice(keySlice)}>{t('measurement.keySlice')}</Button></div>
      ) : null}
      {notes.length > 0 ? (
        <ul className="warnings">
          {notes.map((note, index) => (
            <li key={index}>
              {t(`measureNote.${codeText(note.code)}`, { defaultValue: textOf(note.code) })}
              {note.valueQuantity?.value !== undefined ? t('measurement.noteValue', { value: `${formatNumber(note.valueQuantity.value)} ${note.valueQuantity.unit ?? ''}`.trim() }) : ''}
            </li>
          ))}
        </ul>
      ) : null}
      <Grid caption={t('measurement.bySide')} measures={measures} regions={SIDES} />
      <Grid caption={t('measurement.byZone')} measures={measures} regions={ZONES} />
    </>
  );
}

function Grid({ caption, measures, regions }: { caption: string; measures: Measure[]; regions: string[] }) {
  const { t } = useTranslation();
  const shown = measures.filter((measure) => regions.some((region) => measure.at.has(region)));
  if (shown.length === 0) return null;
  return (
    <div className="table-scroll" tabIndex={0} role="group" aria-label={caption}>
      <table className="figures">
        <caption>{caption}</caption>
        <thead>
          <tr><th scope="col">{t('measurement.measure')}</th>{regions.map((region) => <th key={region} scope="col">{t(`region.${region}`)}</th>)}</tr>
        </thead>
        <tbody>
          {shown.map((measure) => (
            <tr key={measure.code}>
              <th scope="row">{t(`measure.${measure.code}`, { defaultValue: measure.label })}{measure.unit ? <span className="unit"> {measure.unit}</span> : null}</th>
              {regions.map((region) => <td key={region}>{formatFixed(measure.at.get(region)?.value, measure.unit ? 1 : 0)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
