// A signed document: its sections as they were frozen, and the signature that holds them.
import { SafetyCertificateOutlined } from '@ant-design/icons';
import { narrativeText } from '../consult/texts';
import { useDirectory } from '../directory';
import type { Bundle, Composition } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { extensionOf } from '../names';

export const compositionOf = (bundle: Bundle): Composition | undefined => bundle.entry?.[0]?.resource as Composition | undefined;

/** Number of the signer's certificate, where the signature names it. */
export function certificateOf(bundle: Bundle): string {
  return extensionOf(bundle.signature, 'certificate-number')?.valueString ?? '';
}

export function DocumentView({ bundle }: { bundle: Bundle }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const composition = compositionOf(bundle);
  const signer = directory.post(bundle.signature?.who ?? composition?.author[0]);
  const certificate = certificateOf(bundle);
  return (
    <article className="document">
      <h2>{composition?.title}</h2>
      {composition?.section?.map((section, index) => (
        <section key={index}>
          <h3>{section.title}{section.author?.[0] ? <span> {directory.postName(section.author[0])}</span> : null}</h3>
          <p className="pre">{narrativeText(section.text?.div)}</p>
        </section>
      ))}
      <p className="signature">
        <SafetyCertificateOutlined aria-hidden /> {t('document.signedBy', { who: signer?.name || directory.postName(bundle.signature?.who), time: formatTime(bundle.signature?.when ?? bundle.timestamp, language) })}
        {certificate ? <span>{t('document.certificate', { number: certificate })}</span> : null}
      </p>
    </article>
  );
}
