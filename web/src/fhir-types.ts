// The part of FHIR R4 that the screens read and write. Elements that no screen touches are left out on purpose:
// a resource that is written back is always the one that was read, so nothing is lost.

export interface Coding { system?: string; code?: string; display?: string }
export interface CodeableConcept { coding?: Coding[]; text?: string }
export interface Reference { reference?: string; display?: string; type?: string; extension?: Extension[] }
export interface Identifier { system?: string; value?: string; use?: string; type?: CodeableConcept }
export interface Period { start?: string; end?: string }
export interface Quantity { value?: number; unit?: string; system?: string; code?: string }
export interface Annotation { text: string; time?: string; authorReference?: Reference; extension?: Extension[] }
export interface HumanName { text?: string; family?: string; given?: string[] }
export interface ContactPoint { system?: string; value?: string; use?: string }
export interface Attachment { contentType?: string; data?: string; url?: string; title?: string; hash?: string; size?: number }
export interface Narrative { status: string; div: string }

export interface Extension {
  url: string;
  valueString?: string;
  valueCode?: string;
  valueInteger?: number;
  valueDateTime?: string;
  valueInstant?: string;
  valueReference?: Reference;
  extension?: Extension[];
}

export interface Meta { versionId?: string; lastUpdated?: string; extension?: Extension[] }

export interface Resource {
  resourceType: string;
  id?: string;
  meta?: Meta;
  extension?: Extension[];
}

export interface Patient extends Resource {
  resourceType: 'Patient';
  identifier?: Identifier[];
  name?: HumanName[];
  gender?: 'male' | 'female' | 'other' | 'unknown';
  birthDate?: string;
  telecom?: ContactPoint[];
  address?: { text?: string }[];
  managingOrganization?: Reference;
  contact?: { name?: HumanName; telecom?: ContactPoint[]; relationship?: CodeableConcept[] }[];
}

export interface Organization extends Resource {
  resourceType: 'Organization';
  name?: string;
  active?: boolean;
  type?: CodeableConcept[];
  partOf?: Reference;
  telecom?: ContactPoint[];
  address?: { text?: string }[];
}

export interface Practitioner extends Resource {
  resourceType: 'Practitioner';
  name?: HumanName[];
  active?: boolean;
  telecom?: ContactPoint[];
}

export interface PractitionerRole extends Resource {
  resourceType: 'PractitionerRole';
  active?: boolean;
  practitioner?: Reference;
  organization?: Reference;
  code?: CodeableConcept[];
  specialty?: CodeableConcept[];
  telecom?: ContactPoint[];
  period?: Period;
}

export interface ServiceRequest extends Resource {
  resourceType: 'ServiceRequest';
  identifier?: Identifier[];
  status: string;
  intent: string;
  priority?: Priority;
  category?: CodeableConcept[];
  code?: CodeableConcept;
  subject: Reference;
  requester?: Reference;
  performer?: Reference[];
  performerType?: CodeableConcept;
  occurrenceDateTime?: string;
  authoredOn?: string;
  reasonCode?: CodeableConcept[];
  orderDetail?: CodeableConcept[];
  note?: Annotation[];
  supportingInfo?: Reference[];
}

export type Priority = 'routine' | 'urgent' | 'asap' | 'stat';

export interface Task extends Resource {
  resourceType: 'Task';
  code?: CodeableConcept;
  status: string;
  intent: string;
  businessStatus?: CodeableConcept;
  priority?: Priority;
  focus?: Reference;
  for?: Reference;
  requester?: Reference;
  owner?: Reference;
  encounter?: Reference;
  authoredOn?: string;
  lastModified?: string;
  partOf?: Reference[];
  reasonCode?: CodeableConcept;
  statusReason?: CodeableConcept;
  executionPeriod?: Period;
  restriction?: { period?: Period };
  input?: { type: CodeableConcept; valueReference?: Reference }[];
  output?: { type: CodeableConcept; valueReference?: Reference }[];
}

export interface Consent extends Resource {
  resourceType: 'Consent';
  status: string;
  scope: CodeableConcept;
  category: CodeableConcept[];
  patient?: Reference;
  dateTime?: string;
  performer?: Reference[];
  sourceAttachment?: Attachment;
  provision?: { purpose?: Coding[]; actor?: { reference?: Reference; extension?: Extension[] }[] };
}

export interface Encounter extends Resource {
  resourceType: 'Encounter';
  status: string;
  class: Coding;
  participant?: { individual?: Reference; period?: Period }[];
  period?: Period;
}

export interface Appointment extends Resource {
  resourceType: 'Appointment';
  status: string;
  basedOn?: Reference[];
  start?: string;
  end?: string;
  participant: { actor?: Reference; type?: CodeableConcept[]; required?: string; status: string }[];
}

export interface Schedule extends Resource {
  resourceType: 'Schedule';
  active?: boolean;
  serviceType?: CodeableConcept[];
  actor: Reference[];
  planningHorizon?: Period;
}

export interface Observation extends Resource {
  resourceType: 'Observation';
  status: string;
  code: CodeableConcept;
  subject?: Reference;
  focus?: Reference[];
  performer?: Reference[];
  effectiveDateTime?: string;
  issued?: string;
  bodySite?: CodeableConcept;
  valueQuantity?: Quantity;
  valueString?: string;
  valueInteger?: number;
  valueCodeableConcept?: CodeableConcept;
  component?: ObservationComponent[];
  note?: Annotation[];
}

export interface ObservationComponent {
  code: CodeableConcept;
  valueQuantity?: Quantity;
  valueString?: string;
  valueBoolean?: boolean;
  valueInteger?: number;
  valueCodeableConcept?: CodeableConcept;
}

export interface ClinicalImpression extends Resource {
  resourceType: 'ClinicalImpression';
  status: string;
  code?: CodeableConcept;
  subject: Reference;
  encounter?: Reference;
  assessor?: Reference;
  effectiveDateTime?: string;
  date?: string;
  previous?: Reference;
  summary?: string;
  finding?: { itemCodeableConcept?: CodeableConcept; basis?: string }[];
  note?: Annotation[];
}

export interface Communication extends Resource {
  resourceType: 'Communication';
  status: string;
  encounter?: Reference;
  subject?: Reference;
  sender?: Reference;
  sent?: string;
  received?: string;
  category?: CodeableConcept[];
  note?: Annotation[];
  payload?: { contentString?: string }[];
  about?: Reference[];
}

export interface Money { value?: number; currency?: string }

export interface ChargeItem extends Resource {
  resourceType: 'ChargeItem';
  status: string;
  code: CodeableConcept;
  priceOverride?: Money;
}

export interface Invoice extends Resource {
  resourceType: 'Invoice';
  status: string;
  date?: string;
  totalNet?: Money;
  totalGross?: Money;
}

export interface CompositionSection {
  title?: string;
  code?: CodeableConcept;
  author?: Reference[];
  text?: Narrative;
  entry?: Reference[];
}

export interface Composition extends Resource {
  resourceType: 'Composition';
  status: string;
  type: CodeableConcept;
  subject?: Reference;
  encounter?: Reference;
  date: string;
  author: Reference[];
  title: string;
  attester?: { mode: string; time?: string; party?: Reference }[];
  relatesTo?: { code: string; targetReference?: Reference; targetIdentifier?: Identifier }[];
  section?: CompositionSection[];
}

export interface Condition extends Resource {
  resourceType: 'Condition';
  code?: CodeableConcept;
  severity?: CodeableConcept;
  subject: Reference;
  recordedDate?: string;
  note?: Annotation[];
}

export interface DocumentReference extends Resource {
  resourceType: 'DocumentReference';
  status: string;
  type?: CodeableConcept;
  subject?: Reference;
  date?: string;
  description?: string;
  content: { attachment: Attachment }[];
}

export interface Media extends Resource {
  resourceType: 'Media';
  status: string;
  type?: CodeableConcept;
  subject?: Reference;
  createdDateTime?: string;
  content: Attachment;
}

export interface ImagingStudy extends Resource {
  resourceType: 'ImagingStudy';
  identifier?: Identifier[];
  status: string;
  subject?: Reference;
  started?: string;
  modality?: Coding[];
  description?: string;
  numberOfSeries?: number;
  numberOfInstances?: number;
  series?: ImagingSeries[];
}

export interface ImagingSeries {
  uid: string;
  number?: number;
  modality: Coding;
  description?: string;
  numberOfInstances?: number;
  instance?: { uid: string; number?: number }[];
}

export interface DiagnosticReport extends Resource {
  resourceType: 'DiagnosticReport';
  status: string;
  code: CodeableConcept;
  subject?: Reference;
  basedOn?: Reference[];
  issued?: string;
  effectiveDateTime?: string;
  performer?: Reference[];
  resultsInterpreter?: Reference[];
  result?: Reference[];
  imagingStudy?: Reference[];
  conclusion?: string;
}

export interface QuestionnaireResponse extends Resource {
  resourceType: 'QuestionnaireResponse';
  status: string;
  authored?: string;
  author?: Reference;
  item?: QuestionnaireItem[];
}

export interface QuestionnaireItem {
  linkId: string;
  text?: string;
  answer?: { valueString?: string; valueInteger?: number; valueCoding?: Coding }[];
}

export interface Provenance extends Resource {
  resourceType: 'Provenance';
  target: Reference[];
  activity?: CodeableConcept;
  recorded: string;
  agent: { who?: Reference; onBehalfOf?: Reference }[];
  reason?: CodeableConcept[];
  signature?: Signature[];
}

export interface Signature { type: Coding[]; when: string; who: Reference; data?: string; sigFormat?: string; extension?: Extension[] }

export interface BundleEntry {
  fullUrl?: string;
  resource?: Resource;
  search?: { mode?: string };
  request?: { method: string; url: string; ifMatch?: string };
  response?: { status: string; location?: string; outcome?: Resource };
}

export interface Bundle extends Resource {
  resourceType: 'Bundle';
  type: string;
  identifier?: Identifier;
  timestamp?: string;
  total?: number;
  link?: { relation: string; url: string }[];
  entry?: BundleEntry[];
  signature?: Signature;
}

export interface OperationOutcomeIssue {
  severity: string;
  code: string;
  diagnostics?: string;
  details?: CodeableConcept;
  expression?: string[];
}

export interface OperationOutcome extends Resource {
  resourceType: 'OperationOutcome';
  issue: OperationOutcomeIssue[];
}

export interface Parameter {
  name: string;
  valueString?: string;
  valueCode?: string;
  valueBoolean?: boolean;
  valueInteger?: number;
  valueDateTime?: string;
  valueReference?: Reference;
  valueCoding?: Coding;
  part?: Parameter[];
}

export interface Parameters extends Resource {
  resourceType: 'Parameters';
  parameter?: Parameter[];
}
