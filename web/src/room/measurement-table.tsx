// The figures of a measurement: both lungs and each side, then the six zones.
import { useTranslation } from 'react-i18next';
import type { CodeableConcept, Observation, Quantity } from '../fhir-types';
import { formatNumber } from '../format';
import { textOf } from '../names';

interface Figure { region: string; measure: string; label: string; quantity: Quantity }

const SIDES = ['both-lungs', 'right-lung', 'left-lung'];
const ZONES = ['right-upper-zone', 'right-middle-zone', 'right-lower-zone', 'left-upper-zone', 'left-middle-zone', 'left-lower-zone'];

const codeText = (concept: CodeableConcept | undefined): string => concept?.coding?.[0]?.code ?? '';

export function figuresOf(observations: Observation[]): Figure[] {
  return observations.flatMap((observation) => {
    const region = codeText(observation.bodySite) || 'both-lungs';
    const own = observation.valueQuantity
      ? [{ region, measure: codeText(observation.code), label: textOf(observation.code), quantity: observation.valueQuantity }]
      : [];
    const parts = (observation.component ?? []).flatMap((part) =>
      part.valueQuantity ? [{ region, measure: codeText(part.code), label: textOf(part.code), quantity: part.valueQuantity }] : [],
    );
    return [...own, ...parts];
  });
}

export function MeasurementTable({ observations }: { observations: Observation[] }) {
  const { t } = useTranslation();
  const figures = figuresOf(observations);
  const rest = observations.filter((observation) => observation.valueString);
  return (
    <>
      <Grid caption={t('measurement.bySide')} figures={figures} regions={SIDES} />
      <Grid caption={t('measurement.byZone')} figures={figures} regions={ZONES} />
      {rest.length > 0 ? (
        <ul className="warnings">{rest.map((observation) => <li key={observation.id}>{observation.valueString}</li>)}</ul>
      ) : null}
    </>
  );
}

function Grid({ caption, figures, regions }: { caption: string; figures: Figure[]; regions: string[] }) {
  const { t } = useTranslation();
  const shown = figures.filter((figure) => regions.includes(figure.region));
  const measures = [...new Map(shown.map((figure) => [figure.measure, figure])).values()];
  if (shown.length === 0) return null;
  const at = (measure: string, region: string) => shown.find((figure) => figure.measure === measure && figure.region === region)?.quantity;
  return (
    <div className="table-scroll">
      <table className="figures">
        <caption>{caption}</caption>
        <thead>
          <tr><th scope="col">{t('measurement.measure')}</th>{regions.map((region) => <th key={region} scope="col">{t(`region.${region}`)}</th>)}</tr>
        </thead>
        <tbody>
          {measures.map((measure) => (
            <tr key={measure.measure}>
              <th scope="row">{t(`measure.${measure.measure}`, { defaultValue: measure.label })}{measure.quantity.unit ? <span className="unit"> {measure.quantity.unit}</span> : null}</th>
              {regions.map((region) => <td key={region}>{formatNumber(at(measure.measure, region)?.value)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
